"""The warning about a new class that takes the features of an old one, on a plane: three old classes and two new ones."""

import math

import pytest
import torch

from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import accuracy, accuracy_table, extension

NAMES = ["background", "cat", "dog", "puppy", "okapi"]
# Vectors of unit length at these angles in degrees.
ANGLES = [180, 0, 90, 60, 270]


def directions(angles):
    radians = torch.tensor(angles, dtype=torch.float32).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def classifier(labels):
    """Return a last layer that gives a feature the label of the nearest angle."""
    return pixel_classifier.PixelClassifier(
        directions([ANGLES[label] for label in labels]),
        torch.zeros(len(labels)),
        torch.tensor(labels),
        torch.tensor([label > 2 for label in labels]),
    )


def losses(new, n_taken):
    """Return the losses by `new` label ids, if of 20 features of the dog `n_taken` are nearer to the puppy."""
    at = {0: [180] * 20, 1: [0] * 20, 2: [70] * n_taken + [100] * (20 - n_taken), 3: [60], 4: [270]}
    features = {label: directions(angles) for label, angles in at.items()}
    old, trained = classifier([0, 1, 2]), classifier([0, 1, 2, *new])
    return list(accuracy.losses(old, trained, features, NAMES, directions(ANGLES)))


def test_a_loss_names_the_class_that_takes_the_features_and_the_cosine():
    (loss,) = losses([3, 4], n_taken=7)
    assert (loss.old, loss.new) == ("dog", "puppy")
    # 7 of 20 features; the angle between the vectors is 30 degrees.
    assert loss.points == pytest.approx(35) and loss.cosine == pytest.approx(math.sqrt(3) / 2, abs=1e-6)


@pytest.mark.parametrize(("n_taken", "n_losses"), [(0, 0), (2, 0), (3, 1)])
def test_a_loss_is_reported_above_10_points(n_taken, n_losses):
    assert len(losses([3], n_taken)) == n_losses


def test_a_new_class_far_from_all_others_takes_nothing():
    assert losses([4], n_taken=20) == []


def test_the_table_ends_with_the_warning_and_the_remedy():
    found = [accuracy.Loss("violet-striped", 97.25, "purple banded", 0.926)]
    extended = extension.Extended({}, {}, {"violet-striped": 99.0}, {"violet-striped": 1.75}, tuple(found))
    warning, remedy = accuracy_table.render(extended).splitlines()[-2:]
    assert warning == (
        "Warning: `violet-striped` loses 97.2 points, mostly to the new class `purple banded`; "
        "the cosine similarity of their vectors is 0.93."
    )
    assert "under another name" in remedy and remedy.endswith("`zeroshot remove-class 'purple banded'`.")
    assert "Warning" not in accuracy_table.render(extension.Extended({}, {}, {}, {"dog": 9.0}, ()))
