"""From class names to vectors: word2vec trained on a corpus, files of word vectors, or a matrix of class vectors.

Open embedding_sources.py first: it calls one reader for each source.
"""
