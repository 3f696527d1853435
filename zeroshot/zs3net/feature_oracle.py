"""An upper bound, not a method: it READS LABELS OF UNSEEN CLASSES to train the last layer on their real features.

The rest is as in `classifiers.fine_tuning`, so what lies between it and a zero-shot model is what the generator loses, and
what lies between it and full supervision is what a backbone loses that never saw these classes.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from zeroshot.cache import pools, rows
from zeroshot.images import views
from zeroshot.zs3net import feature_source, pixel_classifier
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.cross_validation import calibration


def cross_validate(
    sampled: rows.Rows,
    held: rows.Rows,
    images: tuple[Sequence[str], Sequence[str]],
    start: pixel_classifier.PixelClassifier,
    unseen: Sequence[int],
    options: fine_tuning.Params,
    device: torch.device,
) -> Iterator[tuple[str, list[float]]]:
    """Part the images that the oracle reads, and score each part by a classifier that learnt from the others.

    So its bias is fitted to unseen classes themselves, as befits a bound. Held-out seen classes, which calibrate zero-shot models, would
    fit it to classes that the backbone knows.

    Args:
        sampled: real features of seen classes in the training images, with `image`, `view` and `weight`. Only the first view is scored.
        held: real features of all classes in the unlabelled images, with `image` and `weight`.
        images: the ids that the image numbers of each stand for. With data.exclude: pixels some are in both, and in one part.
        start: the backbone's last layer.
        unseen: label ids.
        options: how the classifier is trained, into how many parts (calibration.folds, at least 2), and the biases to try.
        device: where to train.

    Yields:
        for each part that shows a seen class and an unseen one that shows beside it too, its name and hIoU at each bias.
    """
    n_parts = max(2, options.calibration.folds)
    of_sampled, of_held = _deal((sampled["image"], held["image"]), images, n_parts, options.seed)
    twice = np.isin(np.asarray(images[1], str)[held["image"]], images[0]) & ~np.isin(held["label"], unseen)
    for number in range(n_parts):
        real = pools.select(rows.keep(sampled, of_sampled != number), start.labels.tolist())
        known = pools.select(rows.keep(held, of_held != number), unseen)
        to_score = (
            rows.keep(sampled, (of_sampled == number) & (sampled["view"] == views.WHOLE)),
            rows.keep(held, (of_held == number) & ~twice),
        )
        scored = {name: np.concatenate([table[name] for table in to_score]) for name in ("features", "label", "weight")}
        scored = rows.keep(scored, np.isin(scored["label"], [*start.labels.tolist(), *known.labels.tolist()]))
        of_unseen = np.isin(scored["label"], known.labels)
        if not len(real.labels) or not of_unseen.any() or of_unseen.all():
            continue
        source = feature_source.RealFeatures(known, device)
        *_, (_, trained) = fine_tuning.fit(start, real, source, known.labels.tolist(), options)
        figures = calibration.figures_by_bias(trained, scored, options.calibration.biases)
        yield f"part {number + 1} of the images", [figure["hIoU"] for figure in figures]


def _deal(
    numbers: Sequence[np.ndarray], images: Sequence[Sequence[str]], n_parts: int, seed: int
) -> tuple[np.ndarray, ...]:
    """Return the part (n,) of each row of several tables, all of an image in one; `numbers` (n,) count in that table's `images`."""
    ids = sorted({name for names in images for name in names})
    part = dict(zip(np.random.default_rng(seed).permutation(ids).tolist(), np.arange(len(ids)) % n_parts, strict=True))
    return tuple(
        np.array([part[name] for name in names], np.int64)[own] for own, names in zip(numbers, images, strict=True)
    )
