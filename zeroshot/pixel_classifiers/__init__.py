"""Classifiers of single pixel features, in which every semantic method here ends, and the choice of their bias by cross-validation.

Open pixel_classifier.py first. A classifier that compares features with class vectors is made in compatibility.py; cross_validation/
holds seen classes out, so that a choice needs no label of an unseen class.
"""
