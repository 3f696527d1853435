"""Workbench: errors, endings, parameters, files, checkpoints, progress, parallel jobs, and the shared parts of training loops.

No module here depends on images or classes. Open params.py first: it loads every section of params.yaml.
"""
