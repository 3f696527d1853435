"""Sentences about paper shapes, and word vectors trained on them as by default."""

import collections

import numpy as np

from tests.support import dag, small_shapes
from zeroshot.datasets.shapes import arrangements, shape_words
from zeroshot.words import word2vec

CLASSES = arrangements.categories()
NAMES = [one.name for one in CLASSES]
NEW = [(one.shape, one.look) in arrangements.NEW_PAIRS for one in CLASSES]


def test_sentences_are_lower_case_words_and_name_every_class_equally_often():
    written = shape_words.sentences(small_shapes.settings(sentences=1000))
    assert len(written) == 1000 and written == shape_words.sentences(small_shapes.settings(sentences=1000, n_val=9))
    assert all(sentence == " ".join(sentence.split()) == sentence.lower() for sentence in written)
    assert all(character.isalpha() or character in " -" for sentence in written for character in sentence)
    counts = collections.Counter(word for sentence in written for word in sentence.split())
    named = [counts[name] for name in NAMES]
    assert max(named) - min(named) <= 1 and min(named) >= 30 and counts["background"] >= 50


def test_vectors_of_classes_tell_shape_and_look_and_an_unseen_class_from_all_others(tmp_path):
    settings, options = (dag.document(dag.ZSI_PARAMS)[key] for key in ("shapes", "embeddings"))
    sentences = shape_words.sentences(small_shapes.settings(sentences=settings["sentences"], seed=settings["seed"]))
    (tmp_path / "corpus.txt").write_text("\n".join(sentences))
    keys = ("dim", "window", "min_count", "epochs", "negative", "seed")
    words = word2vec.train(tmp_path / "corpus.txt", set(NAMES), **{key: options[key] for key in keys})
    vectors = np.stack([words.vectors[name] for name in NAMES])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    shared = np.array([[a.shape == b.shape or a.look == b.look for b in CLASSES] for a in CLASSES])
    others = ~np.eye(len(NAMES), dtype=bool)
    assert cosines[shared & others].min() > cosines[~shared].max() + 0.05
    assert cosines[others].max() < 0.9
    # The official scoring of an object that looks like one seen class: the unseen class that shares a trait with it is first.
    for row, is_new, near in zip(cosines, NEW, shared, strict=True):
        if not is_new and near[NEW].any():
            assert row[NEW].argmax() == near[NEW].argmax()
