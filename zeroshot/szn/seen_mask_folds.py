"""Zero-shot cross-validation of the seen mask's threshold; the original has the fixed threshold of equal probabilities.

In a fold, some classes with masks act as unseen: the mask is trained without them, and the hIoU of SZN is read at each threshold.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from zeroshot.cache import pools, rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration, folds
from zeroshot.szn import joint_embedding, role_folds, seen_mask

KEYS = folds.Keys("seen_mask.calibration.held_out", "set seen_mask.calibration.enabled: false")


def draw(presence: np.ndarray, split: splits.Split, options: seen_mask.Params) -> list[folds.Fold]:
    """Choose the classes and images of each fold as `role_folds.draw` does; `options` is the section `seen_mask`."""
    chosen = options.calibration
    return role_folds.draw(presence, split, chosen.hold_out, chosen.folds, chosen.held_out, options.seed, KEYS)


def train_fold(
    fold: folds.Fold,
    *,
    sampled: rows.Rows,
    joint: pixel_classifier.PixelClassifier,
    split: splits.Split,
    options: seen_mask.Params,
) -> calibration.TrainedFold | None:
    """Train the mask without the held-out classes of a fold, and return SZN with rows of images that did not train it.

    Args:
        fold: the classes and images.
        sampled: real features of the classes with masks, and of ignored pixels if those teach "unseen", sorted by class, with their
            weights and images.
        joint: FCN-JE of all classes, on the device to compute on.
        split: the split.
        options: the section `seen_mask`.

    Returns:
        None if no image of the fold shows pixels that teach "unseen".
    """
    smaller = acting(split, fold.held_out)
    labels = seen_mask.learnt_labels(smaller.seen, options)
    real = pools.select(folds.training_rows(fold, sampled, labels), labels)
    if np.isin(real.labels.numpy(), smaller.train_seen).all():
        return None
    *_, (_, (weight, bias)) = seen_mask.fit(real, smaller.train_seen, options, joint.device)
    fold_joint = role_folds.acting(joint, [*smaller.seen, *smaller.unseen], fold.held_out)
    include = options.candidates == "unseen_and_train_unseen"
    masked = joint_embedding.with_mask(fold_joint, smaller, include, weight, bias)
    # Pixels of train_unseen classes count even where they are no candidates, as in evaluation: then each is a false positive.
    scored = folds.evaluation_rows(fold, sampled, [*smaller.seen, *smaller.unseen])
    return calibration.TrainedFold(masked, scored)


def acting(split: splits.Split, held_out: Sequence[int]) -> splits.Split:
    """Return the split of a fold: the held-out classes act as unseen, and the unseen classes do not exist."""
    return dataclasses.replace(
        split,
        seen=tuple(label for label in split.seen if label not in held_out),
        train_unseen=tuple(label for label in split.train_unseen if label not in held_out),
        unseen=tuple(held_out),
    )
