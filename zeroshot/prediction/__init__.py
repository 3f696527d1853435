"""Segmentation of any image with a trained model, without the data set and the parameter file that it was trained with.

Start with `segmenter.predict`. `model` has what a model file of any system contains, `packing` makes it from the files of a pipeline,
`decisions` has the choice of a class and its confidence, `extension` adds classes and removes them, `tiles` places the tiles of a large
image. `instances` has models that find single objects.
"""
