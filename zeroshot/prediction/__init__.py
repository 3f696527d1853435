"""Segmentation of any image with a trained model, without the data set and the parameter file that it was trained with.

Start with `segmenter.predict`. `model` has what a model file contains, `tiles` the places of the tiles of a large image.
"""
