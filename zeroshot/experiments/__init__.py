"""Experiments beyond one run: the comparison of methods, the search of parameters, and the schema of params.yaml.

Open comparison/catalogue.py for the tables, parameter_search/grid.py for the search.
"""
