import dataclasses

import pytest

from tests.support import pixel_world, szn_world
from zeroshot.base import errors
from zeroshot.pixel_classifiers.cross_validation import folds
from zeroshot.szn import role_folds

PRESENCE = pixel_world.presence(pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 40)))
KEYS = folds.Keys("some.key", "do this")


@pytest.mark.parametrize(
    ("role", "labels"), [("train_unseen", szn_world.TRAIN_UNSEEN), ("train_seen", szn_world.TRAIN_SEEN)]
)
def test_classes_of_the_role_act_as_unseen(role, labels):
    drawn = role_folds.draw(PRESENCE, szn_world.split(), role, 9, 1, 0, KEYS)
    assert {label for fold in drawn for label in fold.held_out} == set(labels) - {0}


def test_too_few_classes_to_hold_out_are_named_with_the_callers_key():
    split = dataclasses.replace(szn_world.split(), train_unseen=(3,))
    with pytest.raises(errors.UserError, match="do this"):
        role_folds.draw(PRESENCE, split, "train_unseen", 9, 1, 0, KEYS)


def test_in_a_fold_the_held_out_classes_alone_act_as_unseen_and_true_unseen_ones_are_gone():
    split = szn_world.split()
    held_out = szn_world.TRAIN_UNSEEN[:1]
    acting = role_folds.acting(szn_world.joint(), split.seen, held_out)
    assert sorted(acting.labels.tolist()) == sorted(split.seen)
    assert acting.labels[acting.unseen].tolist() == list(held_out)
