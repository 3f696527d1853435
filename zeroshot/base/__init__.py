"""Workbench: errors, parameters, files, checkpoints, progress, processes, and what training loops share.

Nothing here knows of images or classes. Open params.py first: every section of params.yaml is loaded by it.
"""
