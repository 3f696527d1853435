"""Data sets: VOC's layout, SBD, Pascal-Context, COCO's instances, generated images; and splits into seen and unseen classes.

Open partition.py first: it checks a data set and sorts its images into train, unlabelled and val. For instances it is
instances/clean_images.py.
"""
