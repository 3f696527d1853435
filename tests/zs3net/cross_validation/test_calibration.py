import dataclasses

import numpy as np
import pytest
import torch

from zeroshot.base import params
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.cross_validation import calibration


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
    return classifier, {"features": rng.normal(size=(n, 6)).astype(np.float16), "label": truth, "weight": weights}


def slowly(classifier, scored, bias):
    """The definition, row by row: IoU from weights of sets, then two averages and their harmonic mean."""
    labels = classifier.labels.tolist()
    hits, true, said = (dict.fromkeys(labels, 0.0) for _ in range(3))
    columns = scored["features"].astype(np.float64), scored["label"].tolist(), scored["weight"].tolist()
    for x, label, weight in zip(*columns, strict=True):
        scores = classifier.weight.double().numpy() @ x + classifier.bias.double().numpy()
        scores -= np.where(classifier.unseen.numpy(), 0, bias)
        guess = labels[int(scores.argmax())]
        hits[label] += weight * (guess == label)
        true[label] += weight
        said[guess] += weight
    ious = {label: hits[label] / (true[label] + said[label] - hits[label]) for label in labels}
    seen, unseen = (100 * np.mean([ious[label] for label in group]) for group in ([0, 2, 3], [1, 5]))
    return {"seen": seen, "unseen": unseen, "hIoU": 2 * seen * unseen / (seen + unseen)}


@pytest.mark.parametrize("chunk", [7, 200, 65536])
def test_figures_at_each_bias_are_those_of_their_definition(chunk):
    biases = (0.0, 0.5, -1.0, 3.0)
    actual = calibration.figures_by_bias(*problem(), biases, chunk)
    for figures, bias in zip(actual, biases, strict=True):
        assert figures == pytest.approx(slowly(*problem(), bias))
    assert len({figures["hIoU"] for figures in actual}) == 4


def test_a_weight_is_worth_as_many_rows():
    classifier, scored = problem()
    times = scored["weight"].astype(int)
    repeated = {name: np.repeat(column, times, axis=0) for name, column in scored.items()}
    repeated["weight"] = np.ones(times.sum(), np.float32)
    biases = (0.0, 1.0)
    one, other = (calibration.figures_by_bias(classifier, table, biases) for table in (scored, repeated))
    assert all(a == pytest.approx(b) for a, b in zip(one, other, strict=True))


def test_the_bias_of_the_classifier_itself_is_left_out():
    classifier, scored = problem()
    biased = dataclasses.replace(classifier, seen_bias=2.0)
    assert calibration.figures_by_bias(biased, scored, (0.0, 1.0)) == calibration.figures_by_bias(
        *problem(), (0.0, 1.0)
    )


def test_a_huge_bias_leaves_nothing_to_the_seen():
    more, less = calibration.figures_by_bias(*problem(), (1e6, -1e6))
    assert more["seen"] == less["unseen"] == more["hIoU"] == less["hIoU"] == 0.0


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


def test_the_table_has_a_row_for_each_fold_and_bias():
    curves = calibration.Curves([0, 2.5], ["cow gull", "dog"], [[5.0, 6.0], [7.0, 8.0]])
    assert curves.table() == [
        {"held_out": "cow gull", "bias": 0, "hIoU": 5.0},
        {"held_out": "cow gull", "bias": 2.5, "hIoU": 6.0},
        {"held_out": "dog", "bias": 0, "hIoU": 7.0},
        {"held_out": "dog", "bias": 2.5, "hIoU": 8.0},
    ]


def test_a_classifier_gets_the_chosen_bias_and_none_without_folds():
    classifier, _ = problem()
    curves = calibration.Curves([0, 1, 2], ["cow"], [[3.0, 5.0, 4.0]])
    assert curves.calibrate(classifier).seen_bias == 1.0
    assert curves.calibrate(classifier, 2.5).seen_bias == 2.5
    assert calibration.Curves([0, 1, 2]).calibrate(classifier) is classifier
    assert calibration.Curves([0, 1, 2]).table() == []


@pytest.mark.parametrize(
    ("scores", "biases", "expected"),
    [
        ([1, 2, 3], (0, 1, 2), "the best bias, 2, is the largest of a.b; try larger ones"),
        ([3, 2, 1], (-0.5, 1, 2), "the best bias, -0.5, is the smallest of a.b; try smaller ones"),
        ([3, 2, 1], (0, 1, 2), "the best bias, 0, is the smallest of a.b; try smaller ones"),
        ([1, 2, 3], (-2, -1, 0), "the best bias, 0, is the largest of a.b; try larger ones"),
        ([3], (0,), "the best bias, 0, is the largest of a.b; try larger ones"),
        ([1, 3, 2], (-2, 1, 2), None),
    ],
)
def test_a_best_bias_at_an_edge_is_told(scores, biases, expected):
    assert calibration.Curves(biases, ["cow"], [scores]).edge("a.b") == expected
    assert calibration.Curves(biases).edge("a.b") is None
