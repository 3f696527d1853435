import csv

import numpy as np
import pytest

from zeroshot.words import class_embeddings


def classes(vectors):
    return class_embeddings.ClassEmbeddings(tuple("abcdefghijk"[: len(vectors)]), np.array(vectors, np.float32))


def cosine(x, y):
    return sum(p * q for p, q in zip(x, y, strict=True)) / (sum(p * p for p in x) * sum(q * q for q in y)) ** 0.5


def test_the_table_ranks_by_the_cosine_of_every_pair():
    vectors = np.random.default_rng(0).normal(size=(8, 4))
    table = classes(vectors)
    rows = list(csv.DictReader(class_embeddings.neighbours_csv(table).splitlines()))
    assert list(rows[0]) == ["class", "rank", "neighbour", "cosine"]
    for i, name in enumerate(table.names):
        expected = sorted(((cosine(vectors[i], vectors[j]), table.names[j]) for j in range(8) if j != i), reverse=True)[
            :5
        ]
        found = [row for row in rows if row["class"] == name]
        assert [row["neighbour"] for row in found] == [other for _, other in expected]
        assert [row["rank"] for row in found] == list("12345")
        assert [float(row["cosine"]) for row in found] == pytest.approx([value for value, _ in expected], abs=1e-6)


def test_ties_go_to_the_lower_label_and_lengths_do_not_matter():
    assert [
        other for name, _, other, _ in class_embeddings.nearest(classes([[1, 0], [2, 0], [3, 0]])) if name == "c"
    ] == [
        "a",
        "b",
    ]


def test_zero_vectors_have_no_neighbours_and_are_nobodys():
    rows = list(class_embeddings.nearest(classes([[0, 0], [1, 0], [1, 1]])))
    assert [(name, other) for name, _, other, _ in rows] == [("b", "c"), ("c", "b")]


def test_right_angles_are_written_without_a_sign():
    assert "-0.000000" not in class_embeddings.neighbours_csv(classes([[1, 0], [0, -1]]))
