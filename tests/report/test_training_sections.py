"""Sections of the report about training, at sizes that the small workspace of the other tests does not have."""

import types

import numpy as np

from zeroshot.datasets import splits
from zeroshot.report import charts, training_sections
from zeroshot.words import class_embeddings


def test_of_many_classes_the_similarity_of_the_unseen_ones_and_their_neighbours_is_shown(tmp_path):
    names = tuple(f"class {number:03d}" for number in range(100))
    vectors = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    vectors[7], vectors[0] = vectors[99] + 0.01, vectors[99]
    class_embeddings.write(tmp_path / "v.h5", class_embeddings.ClassEmbeddings(names, vectors), {"source": "test"})
    unseen = (98, 99)
    split = splits.Split(names, tuple(range(98)), unseen, "images", (), (), ())
    run = types.SimpleNamespace(split=split, file=lambda name: tmp_path / "v.h5")
    section = training_sections.similarity(run)
    (figure,) = section.blocks
    shown = str(figure.chart)
    assert charts.class_name("class 099", True) in shown and charts.class_name("class 007", False) in shown
    # The background, label 0, has the vector of class 99 here, and is not shown.
    assert charts.class_name("class 000", False) not in shown
