"""Evaluation: confusion matrices, IoU and its means over seen and unseen classes, protocols, tables.

Open metrics.py first; a new metric is a function there and a key of `summarise`. Any function from features to label maps can be
evaluated.
"""
