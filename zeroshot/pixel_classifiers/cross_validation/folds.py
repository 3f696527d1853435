"""Folds of zero-shot cross-validation: which seen classes act as unseen, and which images train or evaluate (paper section 3.1)."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Self

import numpy as np

from zeroshot.base import errors
from zeroshot.cache import index, rows
from zeroshot.datasets import splits
from zeroshot.images import label_ids

# Share of evaluation images among those without a held-out class. Of images with one, half are `unlabelled` and half `evaluation`.
EVALUATION_SHARE = 0.2
# Seen classes besides the background that cross-validation needs: one to hold out, one to train on.
LEAST_CLASSES = 2


@dataclasses.dataclass(frozen=True)
class Keys:
    """What the caller's user can change, for the text of errors.

    Attributes:
        held_out: the key or flag that sets the number of held-out classes of a fold.
        without: what to do to run without cross-validation.
        pixels: what to do to learn from an image with a held-out class, without the pixels of that class; None where that cannot be done.
    """

    held_out: str
    without: str
    pixels: str | None = "set data.exclude: pixels"

    def of_cache(self, described: index.Index) -> Self:
        """Return the keys for a cache of features: regions of objects (ZSI) have no pixels that could be ignored."""
        return dataclasses.replace(self, pixels=None) if "regions" in described.provenance else self


CLASSIFIER = Keys("classifier.calibration.held_out", "set classifier.calibration.enabled: false")


@dataclasses.dataclass(frozen=True)
class Fold:
    """A smaller zero-shot task within the training images.

    Attributes:
        name: the names of the held-out classes.
        held_out: label ids of the seen classes that act as unseen, in ascending order.
        train: (n_images,) bool, training images of the fold. Labels of held-out classes in them must not be read.
        unlabelled: (n_images,) bool, unlabelled images of the fold. No label in them may be read.
        evaluation: (n_images,) bool, images that evaluate the fold; none of them is in `train` or `unlabelled`.
    """

    name: str
    held_out: tuple[int, ...]
    train: np.ndarray
    unlabelled: np.ndarray
    evaluation: np.ndarray

    def seen(self, labels: Sequence[int]) -> list[int]:
        """Return those of `labels` that are not held out."""
        return [label for label in labels if label not in self.held_out]


def draw(
    presence: np.ndarray, split: splits.Split, n_folds: int, held_out: int, seed: int, keys: Keys = CLASSIFIER
) -> list[Fold]:
    """Choose the classes and images of each fold.

    Args:
        presence: (n_images, C) bool, which training images show which classes.
        split: gives the seen classes, and whether `train` excludes whole images with a held-out class or only the pixels.
        n_folds: the largest number of folds; there may be fewer different sets of classes.
        held_out: number of held-out classes of a fold; fewer if otherwise no class would remain to train on.
        seed: the only source of randomness.
        keys: the keys of the caller, which the text of an error names.

    Raises:
        errors.UserError: if fewer than two classes besides the background have an image, or a fold has no training image.
    """
    shown = np.any(presence, axis=0)
    candidates = [label for label in split.seen if label != label_ids.BACKGROUND and shown[label]]
    priority = np.random.default_rng(seed).random(len(presence))
    folds = [
        _assign_images(presence, classes, split, priority)
        for classes in class_sets(candidates, n_folds, held_out, seed, keys)
    ]
    remedies = [f"lower {keys.held_out}", f"or {keys.without}"]
    if keys.pixels and split.exclude == "images":
        remedies.insert(1, keys.pixels)
    for fold in folds:
        if not np.delete(presence[fold.train], fold.held_out, axis=1).any():
            raise errors.UserError(
                f"zero-shot cross-validation has no image to learn from: all show one of the held-out classes (labels"
                f" {', '.join(map(str, fold.held_out))}); {', '.join(remedies)}"
            )
    return folds


def class_sets(
    labels: Sequence[int], n_sets: int, size: int, seed: int, keys: Keys = CLASSIFIER
) -> list[tuple[int, ...]]:
    """Choose different sets of classes at random, disjoint while there are enough classes.

    Args:
        labels: label ids to choose from, in any order.
        n_sets: the largest number of sets. The first sets do not depend on it.
        size: number of classes of a set; at most half of all classes are used.
        seed: the only source of randomness.
        keys: as in `draw`.

    Raises:
        errors.UserError: if there are fewer than two classes.
    """
    if len(labels) < LEAST_CLASSES:
        raise errors.UserError(
            f"zero-shot cross-validation needs {LEAST_CLASSES} seen classes besides the background, found {len(labels)};"
            f" declare fewer classes unseen, or {keys.without}"
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

    The weights of each class are scaled to their sum in the whole sample, since evaluation images have different shares of each class.
    """
    chosen = rows.keep(sampled, fold.evaluation[sampled["image"]] & np.isin(sampled["label"], list(labels)))
    size = int(sampled["label"].max(initial=0)) + 1
    whole, part = (np.bincount(table["label"], weights=table["weight"], minlength=size) for table in (sampled, chosen))
    scale = np.divide(whole, part, out=np.zeros(size), where=part > 0)
    return chosen | {"weight": (chosen["weight"] * scale[chosen["label"]]).astype(np.float32)}


def _assign_images(presence: np.ndarray, held_out: tuple[int, ...], split: splits.Split, priority: np.ndarray) -> Fold:
    """Assign images to training, unlabelled and evaluation; images with the lowest `priority` (n_images,) evaluate, in most folds alike.

    If a class has two images or more, at least one evaluates and one does not, unless other classes need them otherwise. If it has a
    single image, that image evaluates a held-out class, and trains any other class.
    """
    shows_held_out = np.any(presence[:, list(held_out)], axis=1)
    evaluation = priority < np.where(shows_held_out, 0.5, EVALUATION_SHARE)
    remaining = [label for label in range(presence.shape[1]) if label not in held_out]
    for group, labels, least_to_evaluate, least_to_learn in (
        (shows_held_out, list(held_out), 1, 2),
        (~shows_held_out, remaining, 2, 1),
    ):
        shown = presence[:, labels] & group[:, None]
        images = np.sum(shown, axis=0)
        lowest = np.where(shown, priority[:, None], np.inf).argmin(axis=0)
        highest = np.where(shown, priority[:, None], -np.inf).argmax(axis=0)
        evaluation[lowest[images >= least_to_evaluate]] = True
        evaluation[highest[images >= least_to_learn]] = False
    train = ~evaluation if split.exclude == "pixels" else ~evaluation & ~shows_held_out
    return Fold(
        " ".join(split.classes[label] for label in held_out), held_out, train, ~evaluation & shows_held_out, evaluation
    )
