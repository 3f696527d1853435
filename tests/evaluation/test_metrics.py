import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zeroshot.evaluation import metrics

C = 4
FIGURES = ("PA", "MA", "mIoU", "fwIoU")
labels = arrays.arrays(np.uint16, (6, 5), elements=st.integers(0, C - 1))
labels_or_ignore = arrays.arrays(np.uint16, (6, 5), elements=st.sampled_from([*range(C), 65535]))
quick = settings(max_examples=60, deadline=None)


def by_sets(truth, prediction):
    """Return IoU and accuracy of each class, computed from sets of pixels; None for a class without a true pixel."""
    valid = {index for index in np.ndindex(truth.shape) if truth[index] != 65535}
    ious, accuracies = [], []
    for label in range(C):
        true = {index for index in valid if truth[index] == label}
        predicted = {index for index in valid if prediction[index] == label}
        ious.append(len(true & predicted) / len(true | predicted) if true else None)
        accuracies.append(len(true & predicted) / len(true) if true else None)
    return ious, accuracies


def listed(values):
    return [None if np.isnan(value) else value for value in values]


@quick
@given(labels_or_ignore, labels)
def test_iou_and_accuracy_match_sets_of_pixels(truth, prediction):
    matrix = metrics.confusion(truth, prediction, C)
    ious, accuracies = by_sets(truth, prediction)
    assert listed(metrics.iou(matrix)) == pytest.approx(ious)
    assert listed(metrics.accuracy(matrix)) == pytest.approx(accuracies)


def test_confusion_has_true_classes_in_rows():
    matrix = metrics.confusion(np.array([0, 0, 2, 65535], np.uint16), np.array([0, 1, 1, 3]), C)
    expected = np.zeros((C, C), int)
    expected[0, 0] = expected[0, 1] = expected[2, 1] = 1
    np.testing.assert_array_equal(matrix, expected)
    assert matrix.dtype == np.int64


@quick
@given(labels_or_ignore, labels, labels)
def test_ignored_pixels_change_nothing(truth, prediction, other):
    changed = np.where(truth == 65535, other, prediction)
    np.testing.assert_array_equal(metrics.confusion(truth, changed, C), metrics.confusion(truth, prediction, C))
    assert metrics.confusion(truth, prediction, C).sum() == (truth != 65535).sum()


@quick
@given(labels, labels, st.permutations(range(C)))
def test_iou_is_equivariant_to_class_order(truth, prediction, order):
    order = np.array(order)
    before = metrics.iou(metrics.confusion(truth, prediction, C))
    after = metrics.iou(metrics.confusion(order[truth], order[prediction], C))
    np.testing.assert_array_equal(after[order], before)


@quick
@given(labels_or_ignore, labels, arrays.arrays(np.int64, (6, 5), elements=st.integers(0, 5)))
def test_integer_weights_match_repeated_pixels(truth, prediction, times):
    weighted = metrics.confusion(truth, prediction, C, times.astype(np.float32))
    repeated = metrics.confusion(np.repeat(truth, times.ravel()), np.repeat(prediction, times.ravel()), C)
    np.testing.assert_array_equal(weighted, repeated)


def test_the_metrics_match_their_formulas():
    matrix = np.array([[50, 5, 0, 5], [10, 20, 0, 0], [0, 8, 2, 0], [1, 0, 0, 9]])
    summary = metrics.summarise(matrix, seen=[0, 1, 2], unseen=[3])
    assert summary["seen"]["PA"] == pytest.approx(100 * (50 + 20 + 2) / (60 + 30 + 10))
    assert summary["seen"]["MA"] == pytest.approx(100 * (50 / 60 + 20 / 30 + 2 / 10) / 3)
    seen_ious = [50 / (60 + 61 - 50), 20 / (30 + 33 - 20), 2 / (10 + 2 - 2)]
    assert summary["seen"]["mIoU"] == pytest.approx(100 * sum(seen_ious) / 3)
    unseen_iou = 9 / (10 + 14 - 9)
    weighted = (60 * seen_ious[0] + 30 * seen_ious[1] + 10 * seen_ious[2]) / 100
    assert summary["seen"]["fwIoU"] == pytest.approx(100 * weighted)
    for name, expected in {"PA": 90.0, "MA": 90.0, "mIoU": 100 * unseen_iou, "fwIoU": 100 * unseen_iou}.items():
        assert summary["unseen"][name] == pytest.approx(expected)
    assert summary["all"]["PA"] == pytest.approx(100 * 81 / 110)
    assert summary["all"]["mIoU"] == pytest.approx(100 * (sum(seen_ious) + unseen_iou) / 4)
    seen, unseen = summary["seen"]["mIoU"], summary["unseen"]["mIoU"]
    assert summary["hIoU"] == pytest.approx(1 / ((1 / seen + 1 / unseen) / 2))


def test_absent_classes_are_none_not_zero():
    """Class 1 is predicted but has no true pixel. Its predictions lower the IoU of other classes, but no mean includes it."""
    matrix = np.array([[6, 2, 0], [0, 0, 0], [0, 1, 3]])
    assert np.isnan(metrics.iou(matrix)[1]) and np.isnan(metrics.accuracy(matrix)[1])
    summary = metrics.summarise(matrix, seen=[0, 2], unseen=[1])
    assert summary["unseen"] == dict.fromkeys(FIGURES) and summary["hIoU"] is None
    assert summary["all"] == summary["seen"]
    assert summary["seen"]["mIoU"] == pytest.approx(100 * (6 / 8 + 3 / 4) / 2)


def test_absent_classes_count_as_zero_on_request():
    """The released code replaces NaN by 0 before it computes the mean."""
    matrix = np.array([[6, 2, 0, 0], [0, 0, 0, 0], [0, 1, 3, 0], [0, 0, 0, 0]])
    summary = metrics.summarise(matrix, seen=[0, 2, 3], unseen=[1], absent="zero")
    assert summary["seen"]["mIoU"] == pytest.approx(100 * (6 / 8 + 3 / 4 + 0) / 3)
    assert summary["seen"]["MA"] == pytest.approx(100 * (6 / 8 + 3 / 4 + 0) / 3)
    assert summary["unseen"]["mIoU"] == summary["unseen"]["MA"] == summary["hIoU"] == 0.0
    assert summary["unseen"]["PA"] is None
    assert summary["seen"]["PA"] == metrics.summarise(matrix, [0, 2, 3], [1])["seen"]["PA"]
    assert metrics.summarise(matrix, [0, 2], [], "zero")["unseen"] == dict.fromkeys(FIGURES)


@pytest.mark.parametrize("matrix", [np.zeros((C, C), int), np.diag([1, 0, 0, 0]), np.eye(C)])
@pytest.mark.parametrize("unseen", [[], [2, 3]])
def test_summary_is_json_without_nan(matrix, unseen):
    summary = metrics.summarise(matrix, seen=[0, 1], unseen=unseen)
    text = json.dumps(summary, allow_nan=False)
    assert json.loads(text) == summary


def test_harmonic_mean():
    assert metrics.harmonic_mean(60.0, 20.0) == pytest.approx(30.0)
    assert metrics.harmonic_mean(0.0, 0.0) == 0.0 and metrics.harmonic_mean(70.0, 0.0) == 0.0
    assert metrics.harmonic_mean(None, 5.0) is None and metrics.harmonic_mean(5.0, None) is None
    # The paper's Table 1, Pascal VOC, K=2, ZS3Net.
    assert metrics.harmonic_mean(72.0, 35.4) == pytest.approx(47.5, abs=0.05)


@quick
@given(st.floats(0, 100), st.floats(0, 100))
def test_hiou_is_symmetric_and_between_its_arguments(seen, unseen):
    value = metrics.harmonic_mean(seen, unseen)
    assert value == pytest.approx(metrics.harmonic_mean(unseen, seen))
    assert min(seen, unseen) - 1e-6 <= value <= max(seen, unseen) + 1e-6


def test_percent():
    assert metrics.percent(np.float64(0.25)) == 25.0 and type(metrics.percent(np.float64(0.25))) is float
    assert metrics.percent(np.nan) is None


def test_the_thesis_restricts_the_matrix_to_the_pixels_of_a_group():
    """Classes 3 and 4 are unseen. The three seen classes that are predicted at pixels of class 4 count in the thesis' mean (trap T6)."""
    matrix = np.zeros((5, 5), np.int64)
    matrix[3, 3] = 10
    matrix[4] = [2, 2, 2, 0, 4]
    assert metrics.summarise(matrix, [0, 1, 2], [3, 4])["unseen"]["mIoU"] == pytest.approx(100 * (1.0 + 0.4) / 2)
    thesis = metrics.restricted(matrix, [3, 4])
    assert thesis["mIoU"] == pytest.approx(100 * (1.0 + 0.4) / 5)
    assert thesis == pytest.approx({"PA": 70.0, "MA": 70.0, "mIoU": 28.0, "fwIoU": 70.0})
    # Pixels of other groups that are predicted as class 3 are false positives for us and not for the thesis.
    matrix[0, 3] = 30
    assert metrics.summarise(matrix, [0, 1, 2], [3, 4])["unseen"]["mIoU"] == pytest.approx(100 * (0.25 + 0.4) / 2)
    assert metrics.restricted(matrix, [3, 4]) == thesis


def test_the_thesis_metrics_of_a_group_without_a_pixel_are_none():
    assert metrics.restricted(np.diag([4, 5, 0]), [2]) == dict.fromkeys(FIGURES)
