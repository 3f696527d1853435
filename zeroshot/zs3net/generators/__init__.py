"""Generators of features for classes without images: perceptron trained by MMD, Wasserstein GAN, graph context.

Open registry.py first: it lists them and explains how to add one. mlp.py is the shortest; generator.py is their base class.
"""
