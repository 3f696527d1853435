"""Sentences of the generated data set, and word vectors trained on them."""

import collections
import zlib

import gensim.models
import numpy as np
import pytest

from tests.support import small_toy
from zeroshot.datasets.toy import corpus, scenes

UNSEEN = ("red-striped", "yellow-dotted", "green-ringed", "blue-checked")


def test_sentences_are_lower_case_words_and_name_every_class_equally_often():
    written = corpus.sentences(small_toy.settings(sentences=2000))
    assert len(written) == 2000
    assert all(sentence == " ".join(sentence.split()) == sentence.lower() for sentence in written)
    assert all(character.isalpha() or character in " -" for sentence in written for character in sentence)
    counts = collections.Counter(word for sentence in written for word in sentence.split())
    named = [counts[name] for name in scenes.class_names()[1:]]
    assert max(named) - min(named) <= 1 and min(named) >= 40
    assert counts["background"] >= 100


@pytest.mark.parametrize(("context", "sentences"), [(0.0, 4000), (0.8, 10000)])
def test_hue_pattern_and_host_of_unseen_classes_follow_from_their_word_vectors(context, sentences):
    settings = small_toy.settings(context=context, sentences=sentences)
    written = [sentence.split() for sentence in corpus.sentences(settings)]
    model = gensim.models.Word2Vec(
        written,
        vector_size=64,
        min_count=1,
        workers=1,
        sg=1,
        seed=1,
        epochs=10,
        hashfxn=lambda word: zlib.crc32(word.encode()),
    )
    names = scenes.class_names()[1:]
    vectors = model.wv[list(names)]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    unseen = np.isin(names, UNSEEN)
    labels = range(1, len(names) + 1)
    traits = list(zip(*map(scenes.attributes, labels), strict=True))
    if context:
        traits.append([scenes.host_name(label) or "none" for label in labels])
    for values in traits:
        kinds, ids = np.unique(values, return_inverse=True)
        targets = np.eye(len(kinds))[ids]
        known, mean = vectors[~unseen], vectors[~unseen].mean(0)
        gram = (known - mean).T @ (known - mean) + 0.1 * np.eye(64)
        weights = np.linalg.solve(gram, (known - mean).T @ targets[~unseen])
        scores = (vectors[unseen] - mean) @ weights + targets[~unseen].mean(0)
        assert np.array_equal(scores.argmax(1), ids[unseen])
    for name in UNSEEN:
        nearest = [word for word, _ in model.wv.most_similar(name, topn=60) if word in names][:5]
        shared = [any(values[names.index(name)] == values[names.index(word)] for values in traits) for word in nearest]
        assert all(shared)
