"""Data sets of instances in COCO's layout: reading with checks, the roles of classes, and what training and evaluation may read.

Open clean_images.py first: it makes the files of every later stage.
"""
