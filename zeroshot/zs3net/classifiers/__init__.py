"""Training of the last layer: fine-tuning (ZS3Net), self-training (ZS5Net), and the baselines DeViSE, ALE and SPNet.

Open last_layer.py first: the loop that fine-tuning and self-training share.
"""
