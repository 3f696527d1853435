"""Folds of zero-shot cross-validation: which seen classes play unseen, and which image plays which list (paper section 3.1)."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from zeroshot.base import errors
from zeroshot.cache import rows
from zeroshot.datasets import splits
from zeroshot.images import label_ids

# Of the images that hold no held-out class; the others are halved between `unlabelled` and `evaluation`.
EVALUATION_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class Fold:
    """The zero-shot task on a small scale, within the training images.

    Attributes:
        name: the names of the held-out classes.
        held_out: label ids of the seen classes that play unseen, in ascending order.
        train: (n_images,) bool, images that play the training list. Labels of held-out classes in them must not be read.
        unlabelled: (n_images,) bool, images that play the unlabelled list. No label in them may be read.
        evaluation: (n_images,) bool, images that play the validation list; in no other list.
    """

    name: str
    held_out: tuple[int, ...]
    train: np.ndarray
    unlabelled: np.ndarray
    evaluation: np.ndarray

    def seen(self, labels: Sequence[int]) -> list[int]:
        """Return those of some label ids that stay seen."""
        return [label for label in labels if label not in self.held_out]


def draw(presence: np.ndarray, split: splits.Split, n_folds: int, held_out: int, seed: int) -> list[Fold]:
    """Draw folds.

    Args:
        presence: (n_images, C) bool, which training images show which classes.
        split: its seen classes, and whether images with a held-out class leave `train` or stay without those pixels.
        n_folds: the most folds; fewer if there are no more sets of classes.
        held_out: classes of one fold; fewer if that would leave no class to learn from.
        seed: the only source of randomness.

    Raises:
        errors.UserError: if fewer than two classes besides the background have an image, or a fold has none to learn from.
    """
    shown = np.any(presence, axis=0)
    candidates = [label for label in split.seen if label != label_ids.BACKGROUND and shown[label]]
    priority = np.random.default_rng(seed).random(len(presence))
    folds = [_deal(presence, classes, split, priority) for classes in class_sets(candidates, n_folds, held_out, seed)]
    for fold in folds:
        if not np.delete(presence[fold.train], fold.held_out, axis=1).any():
            raise errors.UserError(
                f"zero-shot cross-validation has no image to learn from: all show one of the held-out classes (labels"
                f" {', '.join(map(str, fold.held_out))}); lower classifier.calibration.held_out, set data.exclude: pixels, or"
                " classifier.calibration.enabled: false"
            )
    return folds


def class_sets(labels: Sequence[int], n_sets: int, size: int, seed: int) -> list[tuple[int, ...]]:
    """Draw sets of classes, disjoint as long as the classes suffice, and never one twice.

    Args:
        labels: label ids to choose from, in any order.
        n_sets: the most sets; the first ones do not depend on it.
        size: classes of one set; at most half of them.
        seed: the only source of randomness.

    Raises:
        errors.UserError: if there are fewer than two classes.
    """
    if len(labels) < 2:
        raise errors.UserError(
            f"zero-shot cross-validation needs two seen classes besides the background, found {len(labels)}; set"
            " classifier.calibration.enabled: false"
        )
    size = min(size, len(labels) // 2)
    count = min(n_sets, math.comb(len(labels), size))
    rng = np.random.default_rng(seed)
    sets: dict[tuple[int, ...], None] = {}
    while len(sets) < count:
        shuffled = rng.permutation(np.sort(np.asarray(labels)))
        for k in range(len(labels) // size):
            sets.setdefault(tuple(sorted(shuffled[k * size : (k + 1) * size].tolist())))
    return list(sets)[:count]


def training_rows(fold: Fold, sampled: rows.Rows, labels: Sequence[int]) -> rows.Rows:
    """Return the rows of a sample whose class is one of `labels` and whose image is in the fold's training list."""
    return rows.keep(sampled, fold.train[sampled["image"]] & np.isin(sampled["label"], list(labels)))


def evaluation_rows(fold: Fold, sampled: rows.Rows, labels: Sequence[int]) -> rows.Rows:
    """Return the rows of a sample whose class is one of `labels` and whose image is in the fold's evaluation list.

    A class's weights are scaled up to the sum that they have in the whole sample, since classes lose different shares of their images.
    """
    chosen = rows.keep(sampled, fold.evaluation[sampled["image"]] & np.isin(sampled["label"], list(labels)))
    whole, part = (np.bincount(table["label"], weights=table["weight"], minlength=256) for table in (sampled, chosen))
    scale = np.divide(whole, part, out=np.zeros(256), where=part > 0)
    return chosen | {"weight": (chosen["weight"] * scale[chosen["label"]]).astype(np.float32)}


def _deal(presence: np.ndarray, held_out: tuple[int, ...], split: splits.Split, priority: np.ndarray) -> Fold:
    """Deal images to lists: those of lowest `priority` (n_images,) are evaluated, the same ones in all folds as far as possible.

    Of a class with two images or more, one is evaluated and one is not, unless other classes need them elsewhere; a held-out class with
    one image is evaluated, another class with one image learnt from.
    """
    hold = np.any(presence[:, list(held_out)], axis=1)
    evaluation = priority < np.where(hold, 0.5, EVALUATION_SHARE)
    kept = [label for label in range(presence.shape[1]) if label not in held_out]
    for group, labels, to_evaluate, to_learn in ((hold, list(held_out), 1, 2), (~hold, kept, 2, 1)):
        shown = presence[:, labels] & group[:, None]
        images = np.sum(shown, axis=0)
        lowest = np.where(shown, priority[:, None], np.inf).argmin(axis=0)
        highest = np.where(shown, priority[:, None], -np.inf).argmax(axis=0)
        evaluation[lowest[images >= to_evaluate]] = True
        evaluation[highest[images >= to_learn]] = False
    train = ~evaluation if split.exclude == "pixels" else ~evaluation & ~hold
    return Fold(" ".join(split.classes[label] for label in held_out), held_out, train, ~evaluation & hold, evaluation)
