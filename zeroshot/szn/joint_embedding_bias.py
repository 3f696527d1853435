"""The seen bias of FCN-JE, chosen by zero-shot cross-validation; the original has none.

The network does not change between folds, so a fold trains nothing: it only scores the rows of its evaluation images.
"""

from typing import Annotated

import pydantic

from zeroshot.base import params
from zeroshot.cache import pools, rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import logit_spread, pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration, folds
from zeroshot.szn import role_folds

KEYS = folds.Keys("joint_embedding.held_out", "set joint_embedding.calibrated: false")


@params.section
class Params:
    """The section `joint_embedding` of szn/params.yaml."""

    calibrated: bool
    hold_out: role_folds.Role
    biases: Annotated[tuple[params.Float, ...], pydantic.Field(min_length=1)]
    folds: params.Count
    held_out: params.Count
    seed: params.Seed
    pool_per_class: params.Count


def unit(joint: pixel_classifier.PixelClassifier, sampled: rows.Rows, options: Params) -> float:
    """Return the unit of `options.biases`: the spread of the products of seen classes, whose pixels count as they occur."""
    real = pools.select(sampled, joint.labels[~joint.unseen].tolist())
    return logit_spread.of(joint, real, real.sizes, options.seed)


def score_fold(
    fold: folds.Fold,
    *,
    sampled: rows.Rows,
    joint: pixel_classifier.PixelClassifier,
    split: splits.Split,
    options: Params,
) -> calibration.TrainedFold:
    """Return FCN-JE of the classes with masks, where the held-out ones act as unseen, and the rows that score it.

    Args:
        fold: the classes and images.
        sampled: real features of the classes with masks, sorted by class, with their weights and images.
        joint: FCN-JE of all classes, on the device to compute on.
        split: the split.
        options: the section `joint_embedding`.
    """
    classifier = role_folds.acting(joint, split.seen, fold.held_out)
    return calibration.TrainedFold(
        classifier, folds.evaluation_rows(fold, sampled, split.seen), unit(classifier, sampled, options)
    )
