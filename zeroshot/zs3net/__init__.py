"""ZS3Net and ZS5Net (Bucher et al., NeurIPS 2019) and the baselines they are compared with, on cached features.

Open classifiers/fine_tuning.py first: it makes ZS3Net's last layer from what generators/ and the cache give. Then pseudo_labels/ and
fold_training/. Every method ends as a classifier of pixel features (pixel_classifiers/).
"""
