"""An upper bound, not a method: it READS LABELS OF UNSEEN CLASSES to train the last layer on their real features.

The rest is as in `classifiers.fine_tuning`, so what lies between it and a zero-shot model is what the generator loses, and
what lies between it and full supervision is what a backbone loses that never saw these classes.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from zeroshot.cache import pools, rows
from zeroshot.images import views
from zeroshot.zs3net import feature_source, pixel_classifier
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.cross_validation import calibration


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the images as a fold of cross-validation: scored by a classifier that learnt from the others.

    Attributes:
        name: for people.
        learnt: which rows of the training images, (n,) bool, and of the unlabelled images, (m,) bool, train.
        scored: which of them score; never one that trains.
    """

    name: str
    learnt: tuple[np.ndarray, np.ndarray]
    scored: tuple[np.ndarray, np.ndarray]


def parts(
    sampled: rows.Rows,
    held: rows.Rows,
    images: tuple[Sequence[str], Sequence[str]],
    unseen: Sequence[int],
    n_parts: int,
    seed: int,
) -> list[Part]:
    """Part the images that the oracle reads.

    So its bias is fitted to unseen classes themselves, as befits a bound. Held-out seen classes, which calibrate zero-shot models, would
    fit it to classes that the backbone knows.

    Args:
        sampled: real features of seen classes in the training images, with `image`, `view` and `weight`. Only the first view is scored.
        held: real features of all classes in the unlabelled images, with `image` and `weight`.
        images: the ids that the image numbers of each stand for. With data.exclude: pixels some are in both, and in one part.
        unseen: label ids.
        n_parts: number of parts; at least 2 are made.
        seed: the only source of randomness.
    """
    n_parts = max(2, n_parts)
    of_sampled, of_held = _deal((sampled["image"], held["image"]), images, n_parts, seed)
    twice = np.isin(np.asarray(images[1], str)[held["image"]], images[0]) & ~np.isin(held["label"], unseen)
    return [
        Part(
            f"part {number + 1} of the images",
            (of_sampled != number, of_held != number),
            ((of_sampled == number) & (sampled["view"] == views.WHOLE), (of_held == number) & ~twice),
        )
        for number in range(n_parts)
    ]


def train_part(
    part: Part,
    *,
    sampled: rows.Rows,
    held: rows.Rows,
    start: pixel_classifier.PixelClassifier,
    unseen: Sequence[int],
    options: fine_tuning.Params,
    device: torch.device,
) -> calibration.TrainedFold | None:
    """Train on all images but those of a part.

    Args:
        part: from `parts`, as are `sampled`, `held` and `unseen`.
        sampled: real features of seen classes in the training images.
        held: real features of all classes in the unlabelled images.
        start: the backbone's last layer.
        unseen: label ids.
        options: how the classifier is trained.
        device: where to train.

    Returns:
        the classifier and its rows to score; None unless the part shows a seen class and an unseen one that shows beside it too.
    """
    real = pools.select(rows.keep(sampled, part.learnt[0]), start.labels.tolist())
    known = pools.select(rows.keep(held, part.learnt[1]), unseen)
    tables = [rows.keep(table, chosen) for table, chosen in zip((sampled, held), part.scored, strict=True)]
    scored = {name: np.concatenate([table[name] for table in tables]) for name in ("features", "label", "weight")}
    scored = rows.keep(scored, np.isin(scored["label"], [*start.labels.tolist(), *known.labels.tolist()]))
    of_unseen = np.isin(scored["label"], known.labels)
    if not len(real.labels) or not of_unseen.any() or of_unseen.all():
        return None
    source = feature_source.RealFeatures(known, device)
    *_, (_, model) = fine_tuning.fit(start, real, source, known.labels.tolist(), options)
    return calibration.TrainedFold(model, scored)


def _deal(
    numbers: Sequence[np.ndarray], images: Sequence[Sequence[str]], n_parts: int, seed: int
) -> tuple[np.ndarray, ...]:
    """Return the part (n,) of each row of several tables, all of an image in one; `numbers` (n,) count in that table's `images`."""
    ids = sorted({name for names in images for name in names})
    part = dict(zip(np.random.default_rng(seed).permutation(ids).tolist(), np.arange(len(ids)) % n_parts, strict=True))
    return tuple(
        np.array([part[name] for name in names], np.int64)[own] for own, names in zip(numbers, images, strict=True)
    )
