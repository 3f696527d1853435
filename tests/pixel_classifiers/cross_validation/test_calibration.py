import dataclasses
import functools

import numpy as np
import pytest
import torch

from zeroshot.base import params, progress
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration


def test_choose_returns_the_bias_with_the_best_mean_over_folds():
    assert calibration.choose([[10, 50, 20, 0], [10, 20, 60, 0]], (0, 1, 2, 3)) == 2.0
    assert calibration.choose([[1, 2, 3]], (0.5, 1, 1.5)) == 1.5


@pytest.mark.parametrize("biases", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_choose_returns_the_smallest_of_several_best_biases(biases):
    scores = {0: 10.0, 1: 40.0, 2: 40.0, 3: 40.0}
    chosen = calibration.choose([[scores[bias] for bias in biases]] * 2, biases)
    assert chosen == 1.0 and type(chosen) is float


@pytest.mark.parametrize("change", [{"folds": 0}, {"held_out": 0}, {"biases": []}, {"enabled": 1}])
def test_invalid_params_raise_an_error(change):
    values = {"enabled": True, "folds": 2, "held_out": 2, "biases": [0, 1]} | change
    with pytest.raises(params.ParamsError, match=f"calibration.{next(iter(change))}"):
        params.build(values, calibration.Params, "classifier.calibration")


# A classifier of two classes: the seen logit equals the feature, the unseen logit is zero.
CLASSIFIER = pixel_classifier.PixelClassifier(
    torch.tensor([[1.0], [0.0]]), torch.zeros(2), torch.tensor([3, 4]), torch.tensor([False, True])
)


@dataclasses.dataclass(frozen=True)
class Fold:
    """A fold with seen logits of `ahead` + 1 for seen rows and `ahead` for unseen ones: a bias between them is perfect."""

    name: str
    ahead: float | None = 1.5


def train_fold(fold: Fold, unit: float = 1.0) -> calibration.TrainedFold | None:
    """Return the rows that `Fold` describes, scaled by `unit`; None, as for a fold that cannot be scored, if `ahead` is None."""
    if fold.ahead is None:
        return None
    features = np.array([[fold.ahead + 1], [fold.ahead]], np.float16) * np.float16(unit)
    scored = {"features": features, "label": np.array([3, 4], np.uint16), "weight": np.ones(2, np.float32)}
    return calibration.TrainedFold(CLASSIFIER, scored, unit, {"name": fold.name, "weight": CLASSIFIER.weight})


def calibrate(*folds, biases=(0, 2, 5), train=train_fold, **options):
    return calibration.calibrate(CLASSIFIER, folds, train, biases, key="a.b", **options)


def test_calibrate_sets_the_best_bias_and_tabulates_each_fold_and_bias():
    calibrated = calibrate(Fold("cow gull"), Fold("dog", 4.5))
    assert calibrated.bias == calibrated.classifier.seen_bias == 2.0
    assert torch.equal(calibrated.classifier.weight, CLASSIFIER.weight) and CLASSIFIER.seen_bias == 0
    assert calibrated.table == [
        {"held_out": name, "bias": bias, "hIoU": hiou}
        for name, hious in (("cow gull", (0, 100, 0)), ("dog", (0, 0, 100)))
        for bias, hiou in zip((0, 2, 5), hious, strict=True)
    ]
    assert [models["name"] for models in calibrated.models] == ["cow gull", "dog"] and calibrated.warnings == []


def test_biases_are_in_units_of_each_fold_and_of_the_classifier():
    calibrated = calibrate(Fold("cow"), train=functools.partial(train_fold, unit=8.0), unit=0.5)
    assert calibrated.bias == 2.0 and calibrated.classifier.seen_bias == 1.0
    assert [row["hIoU"] for row in calibrated.table] == [0, 100, 0]


def test_calibrate_without_folds_does_not_change_the_classifier():
    calibrated = calibrate()
    assert calibrated == calibration.Calibration(CLASSIFIER, None, [], [], []) and calibrated.classifier is CLASSIFIER


def test_a_fold_that_cannot_be_scored_is_skipped():
    calibrated = calibrate(Fold("cow", None), Fold("dog"))
    assert {row["held_out"] for row in calibrated.table} == {"dog"}
    assert len(calibrated.models) == 1 and calibrated.bias == 2.0


def train_fold_without_unseen_rows(fold: Fold) -> calibration.TrainedFold:
    trained = train_fold(fold)
    if fold.name == "cow":
        trained.scored["label"][1] = 3
    return trained


def test_a_fold_whose_evaluation_images_have_no_pixel_of_a_group_is_skipped():
    calibrated = calibrate(Fold("cow"), Fold("dog"), train=train_fold_without_unseen_rows)
    assert {row["held_out"] for row in calibrated.table} == {"dog"} and calibrated.bias == 2.0


def test_a_warning_if_no_fold_can_be_scored():
    calibrated = calibrate(Fold("cow", None), Fold("dog", None))
    assert calibrated.classifier is CLASSIFIER and calibrated.bias is None and calibrated.table == []
    assert calibrated.warnings == ["no fold can be scored, so there is no seen bias and a.b is not used"]
    (warning,) = calibrate(Fold("cow", None), term="threshold").warnings
    assert warning == "no fold can be scored, so there is no threshold and a.b is not used"


def test_a_warning_names_the_key_if_the_best_bias_is_at_an_end():
    assert calibrate(Fold("cow", 4.5)).warnings == ["the best seen bias, 5, is the largest of a.b; try larger ones"]
    assert calibrate(Fold("cow", -0.5)).warnings == ["the best seen bias, 0, is the smallest of a.b; try smaller ones"]


def test_results_do_not_depend_on_the_number_of_workers():
    folds = [Fold("cow"), Fold("dog", 4.5), Fold("gull", None), Fold("sea", 0.5)]
    one, two = (calibrate(*folds, workers=workers, track=progress.track) for workers in (1, 2))
    assert one.table == two.table and one.bias == two.bias and one.warnings == two.warnings
    assert [models["name"] for models in two.models] == ["cow", "dog", "sea"]
    assert all(torch.equal(models["weight"], CLASSIFIER.weight) for models in two.models)


@pytest.mark.parametrize(
    ("scores", "biases", "expected"),
    [
        ([1, 2, 3], (0, 1, 2), "the best seen bias, 2, is the largest of a.b; try larger ones"),
        ([3, 2, 1], (-0.5, 1, 2), "the best seen bias, -0.5, is the smallest of a.b; try smaller ones"),
        ([3, 2, 1], (0, 1, 2), "the best seen bias, 0, is the smallest of a.b; try smaller ones"),
        ([1, 2, 3], (-2, -1, 0), "the best seen bias, 0, is the largest of a.b; try larger ones"),
        ([3], (0,), None),
        ([1, 3, 2], (-2, 1, 2), None),
    ],
)
def test_edge_warning_for_either_end_of_the_biases(scores, biases, expected):
    assert calibration.edge_warning(calibration.choose([scores], biases), biases, "a.b") == expected
