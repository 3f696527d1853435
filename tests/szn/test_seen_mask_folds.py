import dataclasses

import numpy as np
import pytest
import torch

from tests.support import pixel_world, szn_world
from zeroshot.base import errors
from zeroshot.cache import rows
from zeroshot.szn import seen_mask, seen_mask_folds

SAMPLED = pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 40))
PRESENCE = pixel_world.presence(SAMPLED)


def folds(**changes):
    return seen_mask_folds.draw(PRESENCE, szn_world.split(), szn_world.options(**changes))


def trained(fold, sampled=SAMPLED, **changes):
    return seen_mask_folds.train_fold(
        fold, sampled=sampled, joint=szn_world.joint(), split=szn_world.split(), options=szn_world.options(**changes)
    )


def test_too_few_classes_to_hold_out_are_named():
    split = dataclasses.replace(szn_world.split(), train_unseen=(3,))
    with pytest.raises(errors.UserError, match=r"set seen_mask\.calibration\.enabled: false"):
        seen_mask_folds.draw(PRESENCE, split, szn_world.options())


@pytest.mark.parametrize("candidates", ["unseen_and_train_unseen", "unseen"])
@pytest.mark.parametrize("role", ["train_unseen", "train_seen"])
def test_no_pixel_of_an_unseen_class_is_read_and_none_of_a_held_out_class_trains(monkeypatch, role, candidates):
    """Every feature that training draws is compared with those that it may see."""
    pools_seen = []
    fit = seen_mask.fit
    monkeypatch.setattr(
        seen_mask_folds.seen_mask, "fit", lambda real, *rest: pools_seen.append((real, *rest)) or fit(real, *rest)
    )
    for fold in folds(calibration={"hold_out": role}):
        pools_seen.clear()
        result = trained(fold, candidates=candidates)
        ((real, train_seen, *_),) = pools_seen
        assert set(real.labels.tolist()).isdisjoint({*fold.held_out, *szn_world.UNSEEN})
        allowed = SAMPLED["features"][
            fold.train[SAMPLED["image"]]
            & ~np.isin(SAMPLED["label"], fold.held_out)
            & ~fold.evaluation[SAMPLED["image"]]
        ]
        np.testing.assert_array_equal(real.features.numpy(), allowed)
        assert set(train_seen) == set(szn_world.TRAIN_SEEN) - set(fold.held_out)
        # The task of the fold: its held-out classes are the unseen ones, and the true unseen classes do not exist.
        assert set(result.classifier.labels[result.classifier.unseen].tolist()) == set(fold.held_out)
        assert not set(result.classifier.labels.tolist()) & set(szn_world.UNSEEN)
        assert fold.evaluation[result.scored["image"]].all()
        kept = {*szn_world.TRAIN_SEEN, *(szn_world.TRAIN_UNSEEN if candidates != "unseen" else ()), *fold.held_out}
        assert set(result.classifier.labels.tolist()) == kept


def test_held_out_rows_and_evaluation_images_do_not_change_the_mask():
    fold = folds()[0]
    disturbed = {name: column.copy() for name, column in SAMPLED.items()}
    changed = np.isin(SAMPLED["label"], fold.held_out) | ~fold.train[SAMPLED["image"]]
    disturbed["features"][changed] = 7
    before, after = trained(fold), trained(fold, disturbed)
    torch.testing.assert_close(before.classifier.mask_weight, after.classifier.mask_weight, rtol=0, atol=0)
    learnt = ~changed & (SAMPLED["label"] == 3 if 3 not in fold.held_out else SAMPLED["label"] == 4)
    disturbed["features"][learnt] += 1
    assert not torch.equal(before.classifier.mask_weight, trained(fold, disturbed).classifier.mask_weight)


def test_ignored_pixels_teach_the_folds_as_they_teach_the_mask():
    fold = folds()[0]
    ignored = szn_world.with_ignored(SAMPLED, 80, 3.0)
    plain, void = trained(fold, ignored), trained(fold, ignored, void="unseen")
    torch.testing.assert_close(plain.classifier.mask_weight, trained(fold).classifier.mask_weight, rtol=0, atol=0)
    assert not torch.equal(plain.classifier.mask_weight, void.classifier.mask_weight)
    probe = torch.full((1, pixel_world.DIM), 3.0)
    assert void.classifier.log_odds(probe) < plain.classifier.log_odds(probe)
    assert rows.UNLABELLED not in void.scored["label"]


def test_a_fold_without_a_teacher_of_unseen_is_not_scored():
    fold = folds()[0]
    remaining = [label for label in szn_world.TRAIN_UNSEEN if label not in fold.held_out]
    without = rows.keep(SAMPLED, ~np.isin(SAMPLED["label"], remaining))
    assert trained(fold, without) is None
    assert trained(fold, szn_world.with_ignored(without, 80, 3.0), void="unseen") is not None


def test_the_split_of_a_fold_has_no_unseen_class_of_its_own():
    smaller = seen_mask_folds.acting(szn_world.split(), (3,))
    assert smaller.unseen == (3,) and smaller.train_unseen == (4, 7)
    assert smaller.train_seen == szn_world.TRAIN_SEEN and 3 not in smaller.seen
