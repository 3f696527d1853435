"""How good pseudo-labels are, from the labels held back: for people to read, and for no stage (DESIGN.md, section 3)."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zeroshot.cache import held_labels, rows
from zeroshot.cache import index as shard_index
from zeroshot.evaluation import metrics
from zeroshot.images import label_ids, views

COLUMNS = ("class", "role", "pixels", "precision", "coverage")


def cells(unlabelled: Iterable[rows.Rows], index: shard_index.Index, masks: pathlib.Path, n_classes: int) -> np.ndarray:
    """Return how many cells each class has in truth, (n_classes,) float64.

    Args:
        unlabelled: shards of all pixels that could have got a label; only the view of the image as it is counts.
        index: of the cache of unlabelled pixels, whose images the rows number.
        masks: folder of the held masks, <id>.png.
        n_classes: of the data.
    """
    true = np.zeros(n_classes)
    for shard in unlabelled:
        whole = {name: column[shard["view"] == views.WHOLE] for name, column in shard.items()}
        truth = held_labels.of_rows(whole["image"], whole["position"], index, masks)
        valid = truth != label_ids.IGNORE_INDEX
        true += np.bincount(truth[valid], whole["weight"][valid], n_classes)
    return true


def table(
    pseudo: Iterable[rows.Rows],
    true: np.ndarray,
    index: shard_index.Index,
    masks: pathlib.Path,
    classes: Sequence[str],
    unseen: Sequence[int],
) -> list[dict[str, Any]]:
    """Compare pseudo-labels with the truth, class by class.

    Args:
        pseudo: shards of the pseudo-labelled pixels.
        true: of how many cells each class has, see `cells`.
        index: of the cache of unlabelled pixels, whose images the rows number.
        masks: folder of the held masks, <id>.png.
        classes: names in label order.
        unseen: label ids.

    Returns:
        a row {class, role, pixels, precision, coverage} for each class that has pseudo-labels or is unseen, and one for all classes
        together: the number of pseudo-labelled pixels, the per cent of them that are right, and the per cent of the class's unlabelled
        pixels that got the right label, pixels counting as many cells as they stand for; None where there is none. Pixels whose truth
        is 255 count nowhere but in `pixels`.
    """
    counted, right, given = (np.zeros(len(classes)) for _ in range(3))
    for shard in pseudo:
        truth = held_labels.of_rows(shard["image"], shard["position"], index, masks)
        weight, label = shard["weight"].astype(np.float64), shard["label"]
        valid = truth != label_ids.IGNORE_INDEX
        counted += np.bincount(label, minlength=len(classes))
        given += np.bincount(label, weight * valid, len(classes))
        right += np.bincount(label, weight * (truth == label), len(classes))
    reported = [label for label in range(len(classes)) if counted[label] or label in unseen]
    groups = [
        *((classes[label], "unseen" if label in unseen else "seen", [label]) for label in reported),
        ("all", "", reported),
    ]
    return [
        {
            "class": name,
            "role": role,
            "pixels": int(counted[labels].sum()),
            "precision": _share(right[labels].sum(), given[labels].sum()),
            "coverage": _share(right[labels].sum(), true[labels].sum()),
        }
        for name, role, labels in groups
    ]


def _share(part: float, whole: float) -> float | None:
    return metrics.percent(part / whole if whole else np.nan)
