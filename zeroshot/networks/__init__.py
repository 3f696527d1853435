"""Segmentation networks: DeepLabv3+ and FCN-32s on torchvision encoders, initial weights, augmentation, supervised training.

Open segmentation_network.py first, then deeplab.py: the cache stores the output of `features`; `classifier` is the last layer. No
zero-shot method is used here.
"""
