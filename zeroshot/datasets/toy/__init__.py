"""The generated data set: images of painted pebbles whose classes are pairs of a hue and a pattern, and a text corpus.

Open scenes.py first: it draws an image and its mask.
"""
