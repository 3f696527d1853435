"""ZS3Net and ZS5Net (Bucher et al., NeurIPS 2019) and the baselines they are compared with, on cached features.

Open pixel_classifier.py first: all methods here end as one. Then generators/, cross_validation/, classifiers/,
pseudo_labels/ and fold_training/, of which each imports only those before it.
"""
