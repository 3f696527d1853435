"""Segmentation networks: DeepLabv3+ on torchvision encoders, initial weights, augmentation, supervised training.

Open deeplab.py first: `features` is what the cache keeps, `classifier` the last layer. No zero-shot method is known here.
"""
