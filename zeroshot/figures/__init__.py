"""Figures for papers and talks: segmentations of several models side by side, and plots of a feature cache."""
