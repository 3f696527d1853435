"""ZS3Net and ZS5Net (Bucher et al., NeurIPS 2019) and the baselines they are compared with, on cached features.

Open pixel_classifier.py first: all methods here end as one. Then generators/, classifiers/, pseudo_labels/, cross_validation/.
"""
