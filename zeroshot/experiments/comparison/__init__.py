"""The tables that compare methods, filled from DVC's experiments.

Open survey.py first: what has been run for a comparison and what it lacks.
"""
