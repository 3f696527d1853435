"""The cache of regions: what the detector computes once for every image, so that heads are trained and scored without its network.

training_regions.py has sampled regions of training images, as rows of the same layout as sampled pixels (`zeroshot.cache.rows`), so
generators and last layers of features train on them. evaluation_regions.py has all that detection needs of an evaluation image, and
region_heads.py labels its regions. region_caches.py has what is cached of a detector, and region_shards.py writes it.
"""
