"""Segmentation networks: DeepLabv3+ on torchvision encoders, initial weights, augmentation, supervised training.

Open deeplab.py first: the cache stores the output of `features`; `classifier` is the last layer. No zero-shot method is used here.
"""
