import numpy as np
import torch

from zeroshot.cache import maps
from zeroshot.images import label_ids
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.report import reliability


def test_bins_have_equal_width_and_the_last_one_has_certain_pixels():
    sums = reliability.bins(np.array([0.0, 0.49, 0.5, 1.0]), np.array([True, False, True, True]), n=2)
    assert sums.pixels.tolist() == [2, 2] and sums.correct.tolist() == [1, 2]
    np.testing.assert_allclose(sums.confidence, [0.49, 1.5])


def test_the_error_is_the_mean_distance_of_accuracy_and_confidence():
    """Two pixels with accuracy 1/2 and mean confidence 0.2, two with 1 and 0.8: (2 * 0.3 + 2 * 0.2) / 4."""
    sums = reliability.bins(np.array([0.1, 0.3, 0.7, 0.9]), np.array([True, False, True, True]), n=2)
    np.testing.assert_allclose(reliability.calibration_error(sums), 0.25)
    assert reliability.calibration_error(reliability.bins(np.zeros(0), np.zeros(0, bool))) is None


def measured(seen_bias):
    """Measure one image of 2 x 4 pixels in two cells: features 0 and 1, masks 0 and 1, and one ignored pixel in each half."""
    classifier = pixel_classifier.PixelClassifier(
        weight=torch.tensor([[0.0], [2.0]]), bias=torch.tensor([0.0, -1.0]), labels=torch.tensor([0, 1]),
        unseen=torch.tensor([False, True]), seen_bias=seen_bias,
    )  # fmt: skip
    mask = np.array([[0, 0, 1, 1], [label_ids.IGNORE_INDEX, 0, 1, label_ids.IGNORE_INDEX]], np.uint16)
    item = maps.Map("a", np.array([[[0.0], [1.0]]], np.float16), mask)
    return reliability.measure({"zs3net": classifier}, [item], stride=2, n=4)["zs3net"]


def test_confidence_is_the_softmax_of_upsampled_logits_and_ignored_pixels_do_not_count():
    sums = measured(0.0)
    # Bilinear interpolation: the unseen logit is -1, -0.5, 0.5 and 1 from left to right, the seen one 0.
    sure, unsure = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-0.5))
    for name, most in (("seen", 1), ("unseen", 1)):
        assert sums[name].pixels.sum() == sums[name].correct.sum() == 3
        np.testing.assert_allclose(sums[name].confidence.sum(), most * sure + 2 * unsure, rtol=1e-5)


def test_confidences_are_those_with_the_seen_bias():
    sums = measured(5.0)
    assert sums["seen"].pixels.sum() == 0 and sums["unseen"].pixels.sum() == 6
    assert sums["unseen"].correct.sum() == 3


def test_a_classifier_of_seen_classes_has_no_unseen_pixels():
    classifier = pixel_classifier.PixelClassifier(
        torch.ones(1, 1), torch.zeros(1), torch.tensor([0]), torch.tensor([False])
    )
    item = maps.Map("a", np.ones((1, 1, 1), np.float16), np.zeros((2, 2), np.uint16))
    assert list(reliability.measure({"seen_only": classifier}, [item], stride=2)["seen_only"]) == ["seen"]
