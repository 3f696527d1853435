"""SZN (Doshi 2018): a network that regresses class vectors, and a mask of seen pixels that limits the classes to choose from.

Open network.py first: stage one, which trains the network on classes of `train_seen` alone.
"""
