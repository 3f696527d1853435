"""The feature cache in HDF5: an index, shards of sampled pixels (rows) or whole maps, and the sampling of their pixels.

Open index.py first, then rows.py; stored_features.py has the number formats; dump.py writes a cache, and shard_work.py shares its shards
among ranks and goes on after a kill; pools.py samples training batches from one.
"""
