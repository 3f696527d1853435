import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zs3 import calibration, params, pixel_classifier


@settings(max_examples=100, deadline=None)
@given(
    st.sets(st.integers(1, 59), min_size=2, max_size=30),
    st.integers(1, 6),
    st.integers(1, 8),
    st.integers(0, 1000),
)
def test_folds_are_disjoint_small_enough_and_of_the_labels_given(labels, n_folds, held_out, seed):
    folds = calibration.folds(sorted(labels), n_folds, held_out, seed)
    flat = [label for fold in folds for label in fold]
    assert len(flat) == len(set(flat)) and set(flat) <= labels
    assert 1 <= len(folds) <= n_folds
    size = min(held_out, len(labels) // 2)
    assert all(len(fold) == size and fold == sorted(fold) for fold in folds)
    # Fewer folds only where the classes do not suffice for one more.
    assert len(folds) == n_folds or len(labels) - len(flat) < size
    assert all(type(label) is int for label in flat)


def test_folds_depend_on_the_seed_and_not_on_the_order_of_the_labels():
    labels = list(range(1, 20))
    one = calibration.folds(labels, 3, 4, seed=5)
    assert calibration.folds(labels[::-1], 3, 4, seed=5) == one
    assert calibration.folds(labels, 3, 4, seed=6) != one


def test_more_folds_leave_the_first_ones_as_they_are():
    assert calibration.folds(range(1, 20), 4, 4, seed=0)[:2] == calibration.folds(range(1, 20), 2, 4, seed=0)


def test_two_classes_make_two_folds_of_one():
    assert sorted(calibration.folds([3, 8], 5, 4, seed=0)) == [[3], [8]]


@pytest.mark.parametrize("labels", [[], [4]])
def test_too_few_classes_are_explained(labels):
    with pytest.raises(ValueError, match=f"needs two seen classes besides the background, found {len(labels)}"):
        calibration.folds(labels, 2, 2, seed=0)


def problem(n=200):
    """A random classifier of labels 0, 2, 3 (seen) and 5, 1 (unseen), and rows of all of them."""
    rng = np.random.default_rng(0)
    classifier = pixel_classifier.PixelClassifier(
        weight=torch.from_numpy(rng.normal(size=(5, 6))).float(),
        bias=torch.from_numpy(rng.normal(size=5)).float(),
        labels=torch.tensor([0, 2, 3, 5, 1]),
        unseen=torch.tensor([False, False, False, True, True]),
    )
    truth = rng.choice([0, 1, 2, 3, 5], n).astype(np.uint8)
    weights = rng.integers(1, 5, n).astype(np.float32)
    return classifier, torch.from_numpy(rng.normal(size=(n, 6)).astype(np.float16)), truth, weights


def slowly(classifier, features, truth, weights, bias):
    """The definition, row by row: IoU from weights of sets, then the harmonic mean of two averages."""
    labels = classifier.labels.tolist()
    hits, true, said = (dict.fromkeys(labels, 0.0) for _ in range(3))
    for x, label, weight in zip(features.double().numpy(), truth.tolist(), weights.tolist(), strict=True):
        scores = classifier.weight.double().numpy() @ x + classifier.bias.double().numpy()
        scores -= np.where(classifier.unseen.numpy(), 0, bias)
        guess = labels[int(scores.argmax())]
        hits[label] += weight * (guess == label)
        true[label] += weight
        said[guess] += weight
    ious = {label: hits[label] / (true[label] + said[label] - hits[label]) for label in labels}
    seen, unseen = (np.mean([ious[label] for label in group]) for group in ([0, 2, 3], [1, 5]))
    return 100 * 2 * seen * unseen / (seen + unseen)


@pytest.mark.parametrize("chunk", [7, 200, 65536])
def test_hiou_at_each_bias_is_that_of_its_definition(chunk):
    biases = (0.0, 0.5, -1.0, 3.0)
    actual = calibration.hiou_by_bias(*problem(), biases, chunk)
    assert actual == pytest.approx([slowly(*problem(), bias) for bias in biases])
    assert len(set(actual)) == 4


def test_a_weight_is_worth_as_many_rows():
    classifier, features, truth, weights = problem()
    times = weights.astype(int)
    repeated = (
        features[np.repeat(range(len(times)), times)],
        np.repeat(truth, times),
        np.ones(times.sum(), np.float32),
    )
    biases = (0.0, 1.0)
    assert calibration.hiou_by_bias(classifier, features, truth, weights, biases) == pytest.approx(
        calibration.hiou_by_bias(classifier, *repeated, biases)
    )


def test_a_huge_bias_leaves_nothing_to_the_seen():
    assert calibration.hiou_by_bias(*problem(), (1e6, -1e6)) == [0.0, 0.0]


def test_choose_takes_the_best_mean_over_folds():
    assert calibration.choose([[10, 50, 20, 0], [10, 20, 60, 0]], (0, 1, 2, 3)) == 2.0
    assert calibration.choose([[1, 2, 3]], (0.5, 1, 1.5)) == 1.5


@pytest.mark.parametrize("biases", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_choose_takes_the_smallest_of_equals(biases):
    scores = {0: 10.0, 1: 40.0, 2: 40.0, 3: 40.0}
    chosen = calibration.choose([[scores[bias] for bias in biases]] * 2, biases)
    assert chosen == 1.0 and type(chosen) is float


@pytest.mark.parametrize("change", [{"folds": 0}, {"held_out": 0}, {"biases": []}, {"enabled": 1}])
def test_senseless_params_are_refused(change):
    values = {"enabled": True, "folds": 2, "held_out": 2, "biases": [0, 1]} | change
    with pytest.raises(params.ParamsError, match=f"calibration.{next(iter(change))}"):
        params.build(values, calibration.Params, "classifier.calibration")
