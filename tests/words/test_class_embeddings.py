import csv

import h5py
import numpy as np
import pytest

from zeroshot.base import params
from zeroshot.words import class_embeddings

VALUES = {
    "source": "word2vec",
    "path": "data/toy/corpus.txt",
    "name": None,
    "aliases": {"tvmonitor": ["television", "monitor"], "sofa": "couch"},
    "background": "vector",
    "normalise": "unit",
    "dim": 64,
    "window": 5,
    "min_count": 5,
    "epochs": 5,
    "negative": 5,
    "seed": 0,
}
CLASSES = class_embeddings.ClassEmbeddings(("background", "bäume"), np.array([[1, 2, 3], [4, 5, 6]], np.float32))


def test_section_is_built_with_aliases():
    section = params.build(VALUES, class_embeddings.Params, "embeddings")
    assert section.aliases == {"tvmonitor": ("television", "monitor"), "sofa": "couch"}
    assert params.to_dict(section)["aliases"]["tvmonitor"] == ["television", "monitor"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"source": "golve"}, "embeddings.source"),
        (
            {"source": "glove"},
            "embeddings.path: source `glove` .* must be data/pretrained/none, .* not data/toy/corpus.txt",
        ),
        (
            {"source": "one_hot"},
            "embeddings.path: source `one_hot` makes the vectors itself, so path must be data/pretrained/none",
        ),
        ({"source": "downloader"}, "embeddings.name.*downloader` needs the name"),
        ({"aliases": {"sofa": []}}, "embeddings.aliases.sofa"),
        ({"aliases": {"sofa": 3}}, "embeddings.aliases.sofa"),
        ({"dim": 0}, "embeddings.dim"),
        ({"normalise": "l2"}, "embeddings.normalise"),
    ],
)
def test_wrong_values_are_named_with_their_full_key(change, message):
    with pytest.raises(params.ParamsError, match=message):
        params.build({**VALUES, **change}, class_embeddings.Params, "embeddings")


def test_read_returns_what_was_written(tmp_path):
    class_embeddings.write(tmp_path / "a.h5", CLASSES, {"source": "matrix"})
    result = class_embeddings.read(tmp_path / "a.h5")
    assert result.names == CLASSES.names
    assert result.vectors.dtype == np.float32
    np.testing.assert_array_equal(result.vectors, CLASSES.vectors)


def test_file_is_byte_identical_for_every_order_of_provenance(tmp_path):
    class_embeddings.write(tmp_path / "a.h5", CLASSES, {"source": "matrix", "background": "zero"})
    class_embeddings.write(tmp_path / "b.h5", CLASSES, {"background": "zero", "source": "matrix"})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_long_lists_of_names_are_written(tmp_path):
    names = tuple(f"class number {i} " + "x" * 60 for i in range(2000))
    class_embeddings.write(
        tmp_path / "a.h5", class_embeddings.ClassEmbeddings(names, np.ones((2000, 2), np.float32)), {}
    )
    assert class_embeddings.read(tmp_path / "a.h5").names == names


def test_other_files_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["features"] = np.ones(3)
    for name in ("missing.h5", "text.h5", "other.h5"):
        with pytest.raises(
            class_embeddings.EmbeddingsError, match=f"{name}: .*; `dvc repro` restores it or makes it again"
        ):
            class_embeddings.read(tmp_path / name)
    class_embeddings.write(tmp_path / "short.h5", class_embeddings.ClassEmbeddings(("a",), CLASSES.vectors), {})
    with pytest.raises(class_embeddings.EmbeddingsError, match=r"1 names but vectors of shape \(2, 3\)"):
        class_embeddings.read(tmp_path / "short.h5")


def test_read_of_requires_exactly_the_given_classes_or_an_empty_file(tmp_path):
    class_embeddings.write(tmp_path / "a.h5", CLASSES, {})
    np.testing.assert_array_equal(class_embeddings.read_of(tmp_path / "a.h5", list(CLASSES.names)), CLASSES.vectors)
    for names in (CLASSES.names[::-1], CLASSES.names[:1]):
        with pytest.raises(class_embeddings.EmbeddingsError) as caught:
            class_embeddings.read_of(tmp_path / "a.h5", names)
        contained, needed = ", ".join(CLASSES.names), ", ".join(names)
        assert (
            str(caught.value) == f"{tmp_path / 'a.h5'}: contains vectors of {contained}; needed are those of {needed}"
        )
    (tmp_path / "none").write_bytes(b"")
    assert class_embeddings.read_of(tmp_path / "none", CLASSES.names) is None
    with pytest.raises(class_embeddings.EmbeddingsError, match="missing.h5: No such file"):
        class_embeddings.read_of(tmp_path / "missing.h5", CLASSES.names)


def embeddings(vectors):
    return class_embeddings.ClassEmbeddings(tuple("abcdefghijk"[: len(vectors)]), np.array(vectors, np.float32))


def cosine(x, y):
    return sum(p * q for p, q in zip(x, y, strict=True)) / (sum(p * p for p in x) * sum(q * q for q in y)) ** 0.5


def test_neighbours_are_ranked_by_the_cosine_of_every_pair():
    vectors = np.random.default_rng(0).normal(size=(8, 4))
    table = embeddings(vectors)
    rows = list(csv.DictReader(class_embeddings.neighbours_csv(table).splitlines()))
    assert list(rows[0]) == ["class", "rank", "neighbour", "cosine"]
    for i, name in enumerate(table.names):
        expected = sorted(((cosine(vectors[i], vectors[j]), table.names[j]) for j in range(8) if j != i), reverse=True)[
            :5
        ]
        class_rows = [row for row in rows if row["class"] == name]
        assert [row["neighbour"] for row in class_rows] == [other for _, other in expected]
        assert [row["rank"] for row in class_rows] == list("12345")
        assert [float(row["cosine"]) for row in class_rows] == pytest.approx([value for value, _ in expected], abs=1e-6)


def test_lower_label_wins_a_tie_and_vector_length_has_no_effect():
    rows = class_embeddings.nearest(embeddings([[1, 0], [2, 0], [3, 0]]))
    assert [other for name, _, other, _ in rows if name == "c"] == ["a", "b"]


def test_zero_vector_has_no_neighbours_and_is_no_neighbour():
    rows = list(class_embeddings.nearest(embeddings([[0, 0], [1, 0], [1, 1]])))
    assert [(name, other) for name, _, other, _ in rows] == [("b", "c"), ("c", "b")]


def test_cosine_of_zero_is_written_without_a_minus_sign():
    assert "-0.000000" not in class_embeddings.neighbours_csv(embeddings([[1, 0], [0, -1]]))
