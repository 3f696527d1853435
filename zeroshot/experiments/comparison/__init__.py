"""The tables that compare methods, filled from DVC's experiments.

Open run_status.py first: which runs of a comparison are done, and which are missing.
"""
