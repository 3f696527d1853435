"""Data sets: VOC's layout, SBD, Pascal-Context, generated scenes; and splits, in which every class has a role.

Open partition.py first: it checks a data set and sorts its images into train, unlabelled and val.
"""
