"""The generated data set: painted pebbles whose classes are pairs of a hue and a pattern, and sentences about them.

Open scenes.py first: it draws an image and its mask.
"""
