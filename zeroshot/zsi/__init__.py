"""ZSI (Zheng et al., CVPR 2021): a Mask R-CNN whose class scores are products with word vectors.

Open detector.py first. Scores of classes are in scoring.py, and boxes and masks of an image in inference.py.
"""
