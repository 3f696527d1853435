"""The generated data set of instances: paper shapes that overlap on a table, in COCO's layout, and a text corpus with their names.

Open arrangements.py first: it draws an image and the visible part of each object.
"""
