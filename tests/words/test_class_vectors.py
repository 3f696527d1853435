import unicodedata

import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import strategies

from zeroshot.words import class_vectors, normalisation, word_vectors

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
    vectors = {**VECTORS, **more}
    return word_vectors.WordVectors({k: np.array(v, np.float32) for k, v in vectors.items()}, tuple(vectors))


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
def test_name_is_looked_up_as_one_word_first_and_then_as_mean_of_its_parts(name, used):
    vectors, used_words = combine([name])
    assert used_words[1] == used
    np.testing.assert_array_equal(vectors[1], np.mean([VECTORS[word] for word in used], axis=0))
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("in_name", ["NFC", "NFD"])
@pytest.mark.parametrize("in_source", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["Bäume", "bäume", "tv Bäume", "tv"])
def test_accents_are_found_in_composed_and_in_separate_form(in_name, in_source, name):
    word = unicodedata.normalize(in_source, "bäume")
    source = words(**{word: [5, 6]})
    written = unicodedata.normalize(in_name, name)
    aliases = {"tv": unicodedata.normalize(in_name, "bäume")} if name == "tv" else {}
    vectors, used_words = class_vectors.combine(["background", written], source, aliases, "vector")
    assert used_words[1] == (["tv", word] if name == "tv Bäume" else [word])
    assert word in class_vectors.lookup_words([written], aliases)


@pytest.mark.parametrize("alias", ["monitor", ["monitor"], ["tv", "monitor"]])
def test_alias_has_priority_over_the_name(alias):
    vectors, used_words = combine(["tv"], {"tv": alias})
    assert used_words[1] == ([alias] if isinstance(alias, str) else alias)
    np.testing.assert_array_equal(vectors[1], np.mean([VECTORS[word] for word in used_words[1]], axis=0))


@pytest.mark.parametrize("name", ["tv", "dining table", "Traffic-light"])
def test_lookup_words_contains_every_word_that_combine_needs(name):
    for aliases in ({}, {name: ["Monitor", "tv"]}):
        lookup_words = class_vectors.lookup_words([name], aliases)
        subset = word_vectors.WordVectors({k: v for k, v in words().vectors.items() if k in lookup_words}, ())
        expected, _ = class_vectors.combine([name], words(), aliases, "vector")
        np.testing.assert_array_equal(class_vectors.combine([name], subset, aliases, "vector")[0], expected)


def test_message_lists_all_missing_words_with_similar_words_and_what_to_do():
    with pytest.raises(class_vectors.ClassVectorError) as error:
        combine(["tvmonitor", "traffic sign", "tv", "lamp"], {"lamp": ["lihgt", "tv"], "tvv": "tv"})
    assert str(error.value).splitlines() == [
        "class names and word vectors do not match, 4 faults:",
        "  embeddings.aliases: no class is named 'tvv'; similar: tv",
        "  'tvmonitor': no vector for 'tvmonitor'; similar: monitor, [tv, monitor]",
        "  'traffic sign': no vector for 'sign'; similar: traffic",
        "  'lamp': no vector for 'lihgt'; similar: light",
        "Set the word or words to use in embeddings.aliases, for example `tvmonitor: [television, monitor]`",
    ]


def test_only_the_first_missing_words_have_suggestions():
    with pytest.raises(class_vectors.ClassVectorError) as error:
        combine([f"monitor{label}" for label in range(30)])
    lines = str(error.value).splitlines()[1:-1]
    assert [line.endswith("; similar: monitor") for line in lines] == [True] * 20 + [False] * 10


def test_name_of_only_separators_has_no_vector():
    with pytest.raises(class_vectors.ClassVectorError, match="'_': no vector for '_'"):
        combine(["_"])


@pytest.mark.parametrize("rule", ["zero", "mean"])
def test_background_needs_no_word_with_rules_zero_and_mean(rule):
    vectors, used_words = class_vectors.combine(["void", "tv"], words(), {}, rule)
    assert used_words == [[], ["tv"]] and not vectors[0].any()
    with pytest.raises(class_vectors.ClassVectorError, match="'void'"):
        class_vectors.combine(["void", "tv"], words(), {}, "vector")


def test_background_rules_and_normalisations():
    vectors = np.array([[9, 9], [2, 0], [0, 4]], np.float32)
    names = ["background", "a", "b"]
    expected = {"vector": [9, 9], "zero": [0, 0], "mean": [1, 2]}
    for rule, row in expected.items():
        result = normalisation.finish(vectors, names, rule, "none")
        np.testing.assert_array_equal(result, [row, [2, 0], [0, 4]])
        assert result.dtype == np.float32
    np.testing.assert_allclose(normalisation.finish(vectors, names, "mean", "unit")[0], [1 / 5**0.5, 2 / 5**0.5])
    np.testing.assert_array_equal(normalisation.finish(vectors, names, "zero", "unit"), [[0, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(normalisation.finish(vectors, names, "zero", "largest"), [[0, 0], [0.5, 0], [0, 1]])


numbers = strategies.floats(-1e3, 1e3, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)


@hypothesis.given(hypothesis.extra.numpy.arrays(np.float32, (4, 3), elements=numbers))
def test_normalisation_keeps_directions_and_sets_lengths(vectors):
    hypothesis.assume((np.abs(vectors).sum(axis=1) > 0).all())
    names = ["background", "a", "b", "c"]
    lengths = np.array([sum(float(x) ** 2 for x in row) ** 0.5 for row in vectors])
    unit = normalisation.finish(vectors, names, "vector", "unit")
    largest = normalisation.finish(vectors, names, "vector", "largest")
    np.testing.assert_allclose(unit * lengths[:, None], vectors, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(largest * lengths.max(), vectors, rtol=1e-5, atol=1e-6)


def test_zero_vectors_that_cannot_be_normalised_are_named():
    vectors = np.array([[0, 0], [0, 0], [0, 4]], np.float32)
    with pytest.raises(class_vectors.ClassVectorError, match="those of background, a are.*background=zero"):
        normalisation.finish(vectors, ["background", "a", "b"], "vector", "unit")
    with pytest.raises(class_vectors.ClassVectorError, match="those of a are"):
        normalisation.finish(vectors, ["background", "a", "b"], "zero", "unit")
    with pytest.raises(class_vectors.ClassVectorError, match="all are"):
        normalisation.finish(np.zeros((2, 2), np.float32), NAMES, "vector", "largest")


def test_classes_with_one_vector_are_named_in_pairs():
    rng = np.random.default_rng(0)
    dog, cow, bus = rng.normal(size=(3, 300))
    # The vector of `hound` has another length, and its numbers are rounded as in a text file.
    rows = np.array([0 * dog, dog, cow, np.round(3 * dog, 6), bus, cow, 1.001 * cow + 1e-3 * bus, -bus], np.float32)
    names = ["background", "dog", "cow", "hound", "bus", "cattle", "calf", "coach"]
    for normalise in ("none", "unit", "largest"):
        vectors = normalisation.finish(rows, names, "zero", normalise)
        with pytest.raises(class_vectors.ClassVectorError) as caught:
            normalisation.check_distinct(vectors, names, "glove.txt")
        assert str(caught.value).splitlines()[:-1] == [
            "glove.txt: classes cannot be told apart, 2 faults:",
            "  'dog' and 'hound' have the same vector, up to its length",
            "  'cow' and 'cattle' have the same vector, up to its length",
        ]
        distinct = [0, 1, 2, 4, 6, 7]
        normalisation.check_distinct(vectors[distinct], [names[label] for label in distinct], "glove.txt")


def test_one_pair_among_many_classes_is_found_at_once():
    """One-hot vectors, in which most pairs agree in most coordinates, and random ones."""
    for vectors in (
        np.eye(2000, dtype=np.float32),
        np.random.default_rng(0).normal(size=(20000, 9)).astype(np.float32),
    ):
        names = [f"class {label}" for label in range(len(vectors))]
        normalisation.check_distinct(vectors, names, "m.npy")
        vectors[1500] = 3 * vectors[7]
        with pytest.raises(class_vectors.ClassVectorError, match="1 fault:\n  'class 7' and 'class 1500' have"):
            normalisation.check_distinct(vectors, names, "m.npy")


def test_zero_vector_is_refused_for_every_class_but_the_background():
    vectors = np.array([[0, 0], [1, 0], [0, 0], [0, 0]], np.float32)
    with pytest.raises(class_vectors.ClassVectorError) as caught:
        normalisation.check_distinct(vectors, ["background", "a", "b", "c"], "m.npy")
    assert str(caught.value).splitlines()[:3] == [
        "m.npy: classes cannot be told apart, 2 faults:",
        "  'b' has a zero vector",
        "  'c' has a zero vector",
    ]
    normalisation.check_distinct(vectors[:2], ["background", "a"], "m.npy")


def test_non_finite_vectors_are_refused_with_class_names():
    vectors = np.array([[1, 1], [np.nan, 0], [np.inf, 0]], np.float32)
    with pytest.raises(class_vectors.ClassVectorError, match="vectors of a, b contain NaN or infinite"):
        normalisation.finish(vectors, ["background", "a", "b"], "vector", "none")


def test_matrix_must_have_one_row_per_class():
    matrix = np.ones((2, 3))
    result = class_vectors.from_matrix(matrix, NAMES, "m.npy")
    np.testing.assert_array_equal(result, matrix)
    assert result.dtype == np.float32
    with pytest.raises(class_vectors.ClassVectorError, match=r"m\.npy: has 3 rows for 2 classes \(background to tv\)"):
        class_vectors.from_matrix(np.ones((3, 3)), NAMES, "m.npy")
    for wrong in (np.ones(3), np.ones((2, 3), int), np.ones((2, 0)), np.ones((2, 3, 1))):
        with pytest.raises(class_vectors.ClassVectorError, match="needs a matrix of floats.*found shape"):
            class_vectors.from_matrix(wrong, NAMES, "m.npy")


def test_matrix_needs_no_row_for_a_background_that_has_no_vector_of_its_own():
    matrix = np.arange(1.0, 7.0, dtype=np.float32).reshape(3, 2)
    for rule in ("zero", "mean"):
        result = class_vectors.from_matrix(matrix, ["background", "a", "b", "c"], "m.npy", rule)
        np.testing.assert_array_equal(result, [[0, 0], [1, 2], [3, 4], [5, 6]])
        whole = class_vectors.from_matrix(matrix, ["background", "a", "b"], "m.npy", rule)
        np.testing.assert_array_equal(whole, matrix)
    for names, rule in ((["background", "a", "b", "c"], "vector"), (["background", "a", "b", "c", "d"], "zero")):
        with pytest.raises(class_vectors.ClassVectorError, match=f"m.npy: has 3 rows for {len(names)} classes"):
            class_vectors.from_matrix(matrix, names, "m.npy", rule)
