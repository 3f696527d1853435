"""Generators of features for classes without images: perceptron by MMD, Wasserstein GAN, graph context.

Open registry.py first: it names them and says how to add one. mlp.py is the shortest; generator.py has what they share.
"""
