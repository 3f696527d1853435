import dataclasses

import numpy as np
import pytest
import torch

from tests.support import pixel_world, quick_sections
from tests.zs3net.classifiers.test_fine_tuning import TrueFeatures, real
from zeroshot.zs3net.classifiers import fine_tuning, new_classes

OLD_UNSEEN, NEW = pixel_world.UNSEEN
OPTIONS = quick_sections.classifier_options(epochs=3, lr=0.05)


@pytest.fixture(scope="module")
def old():
    *_, (_, model) = fine_tuning.fit(pixel_world.start(), real(), TrueFeatures(), [OLD_UNSEEN], OPTIONS)
    return dataclasses.replace(model, seen_bias=0.25, side_window=3)


@pytest.fixture(scope="module")
def extended(old):
    *_, (_, model) = new_classes.add(old, real(), TrueFeatures(), [NEW], OPTIONS)
    return model


def share_right(model, label):
    features = torch.from_numpy(pixel_world.features(np.full(200, label), seed=9)).float()
    return (model.labels[model.logits(features).argmax(1)] == label).float().mean().item()


def test_the_new_class_is_found_and_the_old_ones_still_are(old, extended):
    assert share_right(extended, NEW) > 0.8
    for label in (*pixel_world.SEEN, OLD_UNSEEN):
        assert share_right(extended, label) > share_right(old, label) - 0.05


def test_old_rows_the_bias_and_the_side_window_stay_and_the_new_class_is_unseen(old, extended):
    n = len(old.labels)
    assert extended.labels.tolist() == [*old.labels.tolist(), NEW]
    assert torch.equal(extended.weight[:n], old.weight) and torch.equal(extended.bias[:n], old.bias)
    assert extended.unseen.tolist() == [*old.unseen.tolist(), True] and extended.seen_bias == 0.25
    assert extended.side_window == 3


def test_a_class_that_is_there_is_refused(old):
    with pytest.raises(ValueError, match=r"already has the labels \[5\]"):
        next(new_classes.add(old, real(), TrueFeatures(), [OLD_UNSEEN, NEW], OPTIONS))
