"""What each method trains in a fold of cross-validation: ZS3Net, self-training on top of it, and the feature oracle.

Open fold_models.py first. The folds, and how a bias is chosen from them, are in pixel_classifiers/cross_validation/.
"""
