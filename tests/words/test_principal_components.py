import tracemalloc

import numpy as np
import pytest
import sklearn.decomposition

from zeroshot.words import class_vectors, principal_components

NAMES = ("background", "cat", "dog", "bus")


@pytest.fixture
def vocabulary():
    """Sixty words in five correlated dimensions, whose mean is not zero."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 3).astype(np.float32)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(principal_components, "BATCH", 8)


def fitted(vocabulary, dim):
    reduction = principal_components.Reduction(dim, "words.txt")
    reduction.add(vocabulary)
    return reduction


def by_hand(vocabulary, classes, dim):
    """Eigenvectors of the covariance matrix, each with its largest coordinate positive."""
    words = vocabulary.astype(np.float64)
    mean = words.mean(axis=0)
    covariance = sum(np.outer(word - mean, word - mean) for word in words)
    values, directions = np.linalg.eigh(covariance)
    chosen = directions[:, np.argsort(-values)[:dim]]
    for direction in chosen.T:
        direction *= np.sign(direction[np.abs(direction).argmax()])
    return (classes - mean) @ chosen


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_reduction_is_the_projection_on_the_eigenvectors_of_the_covariance(vocabulary, dim, request):
    classes = vocabulary[[3, 8, 20, 40]] * np.float32(0.5)
    expected = by_hand(vocabulary, classes, dim)
    whole = fitted(vocabulary, dim).reduce(classes)
    assert whole.dtype == np.float32 and whole.shape == (4, dim)
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    request.getfixturevalue("small_batches")
    np.testing.assert_allclose(fitted(vocabulary, dim).reduce(classes), expected, atol=1e-5)


def test_batches_give_the_result_of_pca_over_the_whole_vocabulary(vocabulary, small_batches):
    reference = sklearn.decomposition.PCA(3, svd_solver="full").fit(vocabulary.astype(np.float64))
    reduction = fitted(vocabulary, 3)
    np.testing.assert_allclose(reduction.reduce(vocabulary), reference.transform(vocabulary), atol=1e-5)
    share = 100 * reference.explained_variance_ratio_.sum()
    assert reduction.describe() == f"3 principal components of 60 words, with {share:.1f} % of their variance"


def test_components_are_those_of_the_vocabulary_and_not_of_the_classes():
    """Words vary along the first axis; classes, among which there is no variation in it, along the second."""
    words = np.array([[x, 0.1 * (-1) ** x, 0] for x in range(-5, 6)], np.float32)
    classes = np.array([[2, y, 0] for y in (-50, 0, 50, 100)], np.float32)
    reduced = fitted(words, 1).reduce(classes)
    np.testing.assert_allclose(reduced, by_hand(words, classes, 1), atol=1e-4)
    assert np.ptp(reduced) < 0.1 * np.ptp(by_hand(classes, classes, 1))


def test_portions_of_the_vocabulary_do_not_change_a_byte(vocabulary, small_batches):
    results = []
    for size in (1, 7, 8, 60):
        reduction = principal_components.Reduction(3, "words.txt")
        for first in range(0, len(vocabulary), size):
            reduction.add(vocabulary[first : first + size])
        results.append(reduction.reduce(vocabulary[:5]).tobytes())
    assert len(set(results)) == 1


def test_fewer_dimensions_are_the_first_of_more(vocabulary):
    few, more = (fitted(vocabulary, dim).reduce(vocabulary[:6]) for dim in (2, 4))
    np.testing.assert_array_equal(few, more[:, :2])


def test_mean_of_words_may_be_reduced_or_reduced_words_averaged(vocabulary):
    reduction = fitted(vocabulary, 3)
    mean = reduction.reduce(vocabulary[:2].mean(axis=0, keepdims=True))
    np.testing.assert_allclose(mean[0], reduction.reduce(vocabulary[:2]).mean(axis=0), atol=1e-5)


def test_all_dimensions_keep_the_vectors(vocabulary):
    reduction = fitted(vocabulary, 5)
    np.testing.assert_array_equal(reduction.reduce(vocabulary[:4]), vocabulary[:4])
    assert reduction.describe() == principal_components.KEPT


def test_given_vectors_are_not_changed(vocabulary):
    before = vocabulary.copy()
    vocabulary.flags.writeable = False
    fitted(vocabulary, 2).reduce(vocabulary)
    np.testing.assert_array_equal(vocabulary, before)


def test_memory_is_that_of_a_batch(monkeypatch):
    monkeypatch.setattr(principal_components, "BATCH", 500)
    rng = np.random.default_rng(0)
    reduction = principal_components.Reduction(2, "words.txt")
    tracemalloc.start()
    try:
        for _ in range(40):
            reduction.add(rng.normal(size=(500, 40)).astype(np.float32))
        # All vectors have 3.2 MB in float32, one batch 160 kB in float64.
        assert tracemalloc.get_traced_memory()[1] < 1_600_000
    finally:
        tracemalloc.stop()
    assert reduction.n_words == 20_000


def test_more_dimensions_than_the_vectors_have_are_refused_at_the_first_word():
    reduction = principal_components.Reduction(4, "words.txt")
    with pytest.raises(
        principal_components.ReductionError,
        match=r"pca.dim: is 4, but the word vectors of words.txt have 3 dimensions; set at most 3, or null",
    ):
        reduction.add(np.ones((1, 3), np.float32))


@pytest.mark.parametrize(
    "words, rank",
    [
        (np.eye(6)[:3], 2),  # Three points are in a plane.
        (np.outer(np.arange(20), np.arange(6)), 1),
        (np.ones((20, 6)), 0),
        (np.ones((1, 6)), 0),
        # In float32 the rounding of these numbers varies in all six dimensions.
        (np.random.default_rng(0).normal(size=(90, 2)) @ np.random.default_rng(1).normal(size=(2, 6)), 2),
    ],
)
def test_vocabulary_that_varies_in_fewer_dimensions_is_refused(words, rank, recwarn):
    remedy = f"set at most {rank}, or null" if rank else "null"
    with pytest.raises(
        principal_components.ReductionError,
        match=rf"pca.dim: is 3, but the {len(words)} word vectors of words.txt vary in {rank} dimensions only; {remedy} for",
    ):
        fitted(words.astype(np.float32), 3).reduce(np.ones((2, 6), np.float32))
    assert not list(recwarn)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_word_that_is_not_finite_is_named_by_its_number(vocabulary, value, small_batches):
    vocabulary[21, 2] = value
    with pytest.raises(principal_components.ReductionError, match=r"words.txt: the vector of word 22 contains NaN or"):
        fitted(vocabulary, 2)


def test_sources_without_a_vocabulary_cannot_be_reduced():
    for source in ("matrix", "one_hot"):
        assert principal_components.start(principal_components.Params(dim=None), source, "a.npy") is None
        with pytest.raises(
            principal_components.ReductionError,
            match=f"pca.dim: is 2, but embeddings.source={source} has no vocabulary .*set pca.dim: null",
        ):
            principal_components.start(principal_components.Params(dim=2), source, "a.npy")
    reduction = principal_components.start(principal_components.Params(dim=2), "vectors", "words.txt")
    assert reduction is not None and (reduction.dim, reduction.where) == (2, "words.txt")


PLANE = np.array([[1, 0], [0, 1], [1, 1], [-1, 0.5]], np.float32)


def test_classes_with_directions_of_their_own_need_no_warning():
    assert principal_components.check_classes(PLANE, PLANE, NAMES, "words.txt") is None


def test_one_dimension_gives_a_warning_because_it_has_two_directions():
    line = np.array([[1], [0.5], [0.25], [-1]], np.float32)
    for full in (PLANE, line):
        warning = principal_components.check_classes(full, line, NAMES, "words.txt")
        assert warning is not None and warning.startswith(
            "3 of 4 classes have the direction of another class in 1 dimension, so cosines cannot tell them apart"
        )


def test_two_names_with_one_vector_are_a_fault_of_the_source_in_any_number_of_dimensions():
    full = PLANE.copy()
    full[2] = 2 * full[1]
    for reduced in (full, full[:, :1]):
        with pytest.raises(class_vectors.ClassVectorError, match="'cat' and 'dog' have the same vector"):
            principal_components.check_classes(full, reduced, NAMES, "words.txt")


def test_zero_vector_is_refused_before_and_after_the_reduction():
    reduced = np.array([[1], [0.5], [0], [-1]], np.float32)
    for full in (PLANE, reduced):
        with pytest.raises(principal_components.ReductionError, match="words.txt: the 1-d vectors of dog are zero"):
            principal_components.check_classes(full, reduced, NAMES, "words.txt")
