"""Instances of any image by a model of ZSI, without the data set and the parameter file that it was trained with.

Start with `instance_detection.detect`. `instance_model` has what a model file contains, `instance_packing` makes it from the files of the
pipeline, `instance_outputs` writes instances as COCO's JSON, masks and pictures.
"""
