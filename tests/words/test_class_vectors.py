import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import strategies

from zeroshot.words import class_vectors, word_vectors

VECTORS = {
    "background": [1, 1],
    "tv": [0, 1],
    "monitor": [4, 0],
    "dining_table": [7, 7],
    "traffic": [2, 0],
    "light": [0, 6],
    "t-shirt": [3, 3],
}
NAMES = ["background", "tv"]


def words(**more):
    known = {**VECTORS, **more}
    return word_vectors.WordVectors({k: np.array(v, np.float32) for k, v in known.items()}, tuple(known), ())


def combine(names, aliases=None, background="vector"):
    return class_vectors.combine(["background", *names], words(), aliases or {}, background)


@pytest.mark.parametrize(
    "name, used",
    [
        ("tv", ["tv"]),
        ("TV", ["tv"]),
        ("dining table", ["dining_table"]),
        ("dining-table", ["dining_table"]),
        ("t shirt", ["t-shirt"]),
        ("traffic light", ["traffic", "light"]),
        ("traffic_light", ["traffic", "light"]),
        ("Traffic-light", ["traffic", "light"]),
    ],
)
def test_a_name_is_its_own_word_first_and_the_mean_of_its_parts_then(name, used):
    vectors, found = combine([name])
    assert found[1] == used
    np.testing.assert_array_equal(vectors[1], np.mean([VECTORS[word] for word in used], axis=0))
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("alias", ["monitor", ["monitor"], ["tv", "monitor"]])
def test_the_alias_table_comes_first(alias):
    vectors, found = combine(["tv"], {"tv": alias})
    assert found[1] == ([alias] if isinstance(alias, str) else alias)
    np.testing.assert_array_equal(vectors[1], np.mean([VECTORS[word] for word in found[1]], axis=0))


@pytest.mark.parametrize("name", ["tv", "dining table", "Traffic-light"])
def test_wanted_lists_every_word_that_a_lookup_needs(name):
    for aliases in ({}, {name: ["Monitor", "tv"]}):
        wanted = class_vectors.wanted([name], aliases)
        fewer = word_vectors.WordVectors({k: v for k, v in words().vectors.items() if k in wanted}, (), ())
        whole, _ = class_vectors.combine([name], words(), aliases, "vector")
        np.testing.assert_array_equal(class_vectors.combine([name], fewer, aliases, "vector")[0], whole)


def test_missing_words_are_listed_together_with_near_ones_and_the_remedy():
    with pytest.raises(class_vectors.ClassVectorError) as error:
        combine(["tvmonitor", "traffic sign", "tv", "lamp"], {"lamp": ["lihgt", "tv"], "tvv": "tv"})
    assert str(error.value).splitlines() == [
        "class names and word vectors do not fit together, 4 faults:",
        "  embeddings.aliases: no class is named 'tvv'; near: tv",
        "  'tvmonitor': no vector for 'tvmonitor'; near: monitor",
        "  'traffic sign': no vector for 'sign'; near: traffic",
        "  'lamp': no vector for 'lihgt'; near: light",
        "Say in embeddings.aliases which known word or words to use, as in `tvmonitor: [television, monitor]`",
    ]


def test_a_name_of_separators_only_has_no_vector():
    with pytest.raises(class_vectors.ClassVectorError, match="'_': no vector for '_'"):
        combine(["_"])


@pytest.mark.parametrize("rule", ["zero", "mean"])
def test_a_background_that_is_not_a_word_needs_none(rule):
    vectors, found = class_vectors.combine(["void", "tv"], words(), {}, rule)
    assert found == [[], ["tv"]] and not vectors[0].any()
    with pytest.raises(class_vectors.ClassVectorError, match="'void'"):
        class_vectors.combine(["void", "tv"], words(), {}, "vector")


def test_background_rules():
    vectors = np.array([[9, 9], [2, 0], [0, 4]], np.float32)
    names = ["background", "a", "b"]
    expected = {"vector": [9, 9], "zero": [0, 0], "mean": [1, 2]}
    for rule, row in expected.items():
        result = class_vectors.finish(vectors, names, rule, "none")
        np.testing.assert_array_equal(result, [row, [2, 0], [0, 4]])
        assert result.dtype == np.float32
    np.testing.assert_allclose(class_vectors.finish(vectors, names, "mean", "unit")[0], [1 / 5**0.5, 2 / 5**0.5])
    np.testing.assert_array_equal(class_vectors.finish(vectors, names, "zero", "unit"), [[0, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(class_vectors.finish(vectors, names, "zero", "largest"), [[0, 0], [0.5, 0], [0, 1]])


numbers = strategies.floats(-1e3, 1e3, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)


@hypothesis.given(hypothesis.extra.numpy.arrays(np.float32, (4, 3), elements=numbers))
def test_normalisation_keeps_directions_and_reaches_its_lengths(vectors):
    hypothesis.assume((np.abs(vectors).sum(axis=1) > 0).all())
    names = ["background", "a", "b", "c"]
    lengths = np.array([sum(float(x) ** 2 for x in row) ** 0.5 for row in vectors])
    unit = class_vectors.finish(vectors, names, "vector", "unit")
    largest = class_vectors.finish(vectors, names, "vector", "largest")
    np.testing.assert_allclose(unit * lengths[:, None], vectors, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(largest * lengths.max(), vectors, rtol=1e-5, atol=1e-6)


def test_zero_vectors_are_named_where_they_cannot_be_normalised():
    vectors = np.array([[0, 0], [0, 0], [0, 4]], np.float32)
    with pytest.raises(class_vectors.ClassVectorError, match="those of background, a are.*background=zero"):
        class_vectors.finish(vectors, ["background", "a", "b"], "vector", "unit")
    with pytest.raises(class_vectors.ClassVectorError, match="those of a are"):
        class_vectors.finish(vectors, ["background", "a", "b"], "zero", "unit")
    with pytest.raises(class_vectors.ClassVectorError, match="all are"):
        class_vectors.finish(np.zeros((2, 2), np.float32), NAMES, "vector", "largest")


def test_numbers_that_are_not_finite_are_refused_by_class():
    vectors = np.array([[1, 1], [np.nan, 0], [np.inf, 0]], np.float32)
    with pytest.raises(class_vectors.ClassVectorError, match="vectors of a, b hold NaN or infinite"):
        class_vectors.finish(vectors, ["background", "a", "b"], "vector", "none")


def test_a_matrix_must_have_a_row_per_class():
    matrix = np.ones((2, 3))
    result = class_vectors.from_matrix(matrix, NAMES, "m.npy")
    np.testing.assert_array_equal(result, matrix)
    assert result.dtype == np.float32
    with pytest.raises(class_vectors.ClassVectorError, match=r"m\.npy: has 3 rows for 2 classes \(background to tv\)"):
        class_vectors.from_matrix(np.ones((3, 3)), NAMES, "m.npy")
    for wrong in (np.ones(3), np.ones((2, 3), int), np.ones((2, 0)), np.ones((2, 3, 1))):
        with pytest.raises(class_vectors.ClassVectorError, match="needs a matrix of floats.*found shape"):
            class_vectors.from_matrix(wrong, NAMES, "m.npy")
