"""Choosing parameters by zero-shot cross-validation, which reads no label of an unseen class.

Open search_jobs.py first: from settings to training jobs and their scores.
"""
