"""Folds of zero-shot cross-validation in SZN: held-out classes of one role act as unseen."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import folds

Role = Literal["train_seen", "train_unseen"]


def draw(
    presence: np.ndarray, split: splits.Split, role: Role, n_folds: int, held_out: int, seed: int, keys: folds.Keys
) -> list[folds.Fold]:
    """Choose the classes and images of each fold.

    The network was trained on classes of `train_seen`, so it knows them better than it will know the unseen ones. It never saw those of
    `train_unseen`, of which there must be two or more.

    Args:
        presence: (n_images, C) bool, which training images show which classes.
        split: the split.
        role: the role of the held-out classes.
        n_folds: the largest number of folds.
        held_out: number of held-out classes of a fold.
        seed: the only source of randomness.
        keys: the keys of the caller, which the text of an error names.

    Raises:
        errors.UserError: if there are too few classes to hold out.
    """
    candidates = split.train_unseen if role == "train_unseen" else split.train_seen
    return folds.draw(presence, dataclasses.replace(split, seen=candidates), n_folds, held_out, seed, keys)


def acting(
    joint: pixel_classifier.PixelClassifier, labels: Sequence[int], held_out: Sequence[int]
) -> pixel_classifier.PixelClassifier:
    """Return the rows of some label ids, where the held-out classes act as unseen and all others as seen."""
    unseen = torch.isin(joint.labels, torch.tensor(list(held_out), device=joint.device))
    return dataclasses.replace(joint, unseen=unseen).of(labels)
