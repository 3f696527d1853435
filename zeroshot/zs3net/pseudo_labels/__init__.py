"""Pseudo-labels of unlabelled pixels: the rules that select them, the cache of selected pixels, and their precision.

Open selection.py first: the rules.
"""
