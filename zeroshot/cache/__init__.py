"""The feature cache in HDF5: an index, shards of sampled pixels (rows) or whole maps, and the sampling of their pixels.

Open index.py first, then rows.py; dump.py writes a cache; pools.py samples training batches from one.
"""
