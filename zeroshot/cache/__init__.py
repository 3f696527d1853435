"""The feature cache in HDF5: an index, shards of sampled pixels (rows) or whole maps, and what goes into them.

Open index.py first, then rows.py; dump.py fills a cache, pools.py draws training batches from one.
"""
