"""Precision and coverage of pseudo-labels, from the true labels: reported to the user, read by no stage (docs/protocol.md)."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zeroshot.cache import held_labels, rows
from zeroshot.cache import index as shard_index
from zeroshot.evaluation import metrics
from zeroshot.images import image_files, label_ids, views

COLUMNS = ("class", "role", "pixels", "precision", "coverage")


def cells(unlabelled: Iterable[rows.Rows], index: shard_index.Index, masks: pathlib.Path, n_classes: int) -> np.ndarray:
    """Return the number of cells of each class by the true labels, (n_classes,) float64.

    Args:
        unlabelled: shards of all unlabelled pixels; only those of the whole view count.
        index: index of the cache of unlabelled pixels.
        masks: folder of the true masks, <id>.png.
        n_classes: number of classes.
    """
    true = np.zeros(n_classes)
    for shard in unlabelled:
        whole = {name: column[shard["view"] == views.WHOLE] for name, column in shard.items()}
        truth = held_labels.of_rows(whole["image"], whole["position"], index, masks)
        valid = truth != label_ids.IGNORE_INDEX
        true += np.bincount(truth[valid], whole["weight"][valid], n_classes)
    return true


def count_unmasked(index: shard_index.Index, masks: pathlib.Path) -> int:
    """Return the number of images of a cache whose true mask ignores all pixels, as prepare_split writes it for an image without a mask.

    Args:
        index: index of the cache of unlabelled pixels.
        masks: folder of the true masks, <id>.png.
    """
    read = (image_files.read_mask(masks / f"{id}.png") for id in index.images)
    return sum(bool((mask == label_ids.IGNORE_INDEX).all()) for mask in read)


def table(
    pseudo: Iterable[rows.Rows],
    true: np.ndarray,
    index: shard_index.Index,
    masks: pathlib.Path,
    classes: Sequence[str],
    unseen: Sequence[int],
) -> list[dict[str, Any]]:
    """Compare pseudo-labels with the true labels, class by class.

    Args:
        pseudo: shards of the pseudo-labelled pixels.
        true: number of cells of each class, from `cells`.
        index: index of the cache of unlabelled pixels.
        masks: folder of the true masks, <id>.png.
        classes: names in label order.
        unseen: label ids.

    Returns:
        a row {class, role, pixels, precision, coverage} for each class that has pseudo-labels or is unseen, and one for all classes
        together. `pixels` is the number of pseudo-labelled pixels. `precision` is the per cent of them with the right label. `coverage`
        is the per cent of all unlabelled pixels of the class with the right pseudo-label. Both weight a pixel by the number of cells
        that it represents, leave out ignored pixels (all of an image without a mask), and are None where there is no pixel.
    """
    pixels, correct, predicted = (np.zeros(len(classes)) for _ in range(3))
    for shard in pseudo:
        truth = held_labels.of_rows(shard["image"], shard["position"], index, masks)
        weight, label = shard["weight"].astype(np.float64), shard["label"]
        valid = truth != label_ids.IGNORE_INDEX
        pixels += np.bincount(label, minlength=len(classes))
        predicted += np.bincount(label, weight * valid, len(classes))
        correct += np.bincount(label, weight * (truth == label), len(classes))
    reported = [label for label in range(len(classes)) if pixels[label] or label in unseen]
    groups = [
        *((classes[label], "unseen" if label in unseen else "seen", [label]) for label in reported),
        ("all", "", reported),
    ]
    return [
        {
            "class": name,
            "role": role,
            "pixels": int(pixels[labels].sum()),
            "precision": _share(correct[labels].sum(), predicted[labels].sum()),
            "coverage": _share(correct[labels].sum(), true[labels].sum()),
        }
        for name, role, labels in groups
    ]


def _share(part: float, whole: float) -> float | None:
    return metrics.percent(part / whole if whole else np.nan)
