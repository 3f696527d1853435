"""Segmentation of any image with a trained model, without the data set and the parameter file that it was trained with.

Start with `segmenter.predict`. `model` has what a model file contains, `packing` makes it from the files of the pipeline, `extension` adds
classes to it and removes them, `tiles` has the places of the tiles of a large image.
"""
