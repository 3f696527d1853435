"""Images and masks: reading files, deterministic views, the grid of feature cells, connected components, comparison pictures.

Open grids.py first: it defines how pixels and the cells of a feature map correspond.
"""
