"""SZN (Doshi, "Zero-Shot Semantic Segmentation", 2018): pixels in the space of class vectors, and a mask of what was seen.

Open network.py first: it trains the network on the classes of `train_seen` alone. In joint_embedding.py the network's head and the class
vectors become a classifier of pixel features, and joint_embedding_bias.py chooses its seen bias. seen_mask.py learns the mask on cached
features, seen_mask_folds.py chooses its threshold, and variants.py scores the four ways to label an image.
"""
