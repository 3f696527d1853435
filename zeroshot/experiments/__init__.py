"""Experiments of more than one run: the comparison of methods and the search of parameters; also the schema of params.yaml.

Open comparison/catalogue.py for the tables, parameter_search/grid.py for the search.
"""
