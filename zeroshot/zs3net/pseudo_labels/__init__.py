"""Pseudo-labels of unlabelled pixels: which are kept, the cache they are kept in, and how often they are right.

Open selection.py first: the rules.
"""
