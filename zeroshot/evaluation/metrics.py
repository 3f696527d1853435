"""Segmentation metrics from one confusion matrix (paper section 3.1)."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Absent = Literal["skip", "zero"]


def confusion(
    truth: np.ndarray, prediction: np.ndarray, n_classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Count pixels by true class (row) and predicted class (column).

    Args:
        truth: label ids of any shape; pixels with an id of n_classes or above (`label_ids.IGNORE_INDEX`) are not counted.
        prediction: label ids below n_classes, in the shape of `truth`.
        n_classes: C.
        weights: weight of each pixel, in the shape of `truth`; 1 if None.

    Returns:
        (C, C), int64, or float64 with weights. It is dense: 8 C^2 bytes, that is 8 MB for 1,000 classes and 3 GB for 20,000.
    """
    valid = truth < n_classes
    pairs = truth[valid].astype(np.int64) * n_classes + prediction[valid]
    counts = np.bincount(pairs, weights=None if weights is None else weights[valid], minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def iou(matrix: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class, (..., C) float64, of matrices (..., C, C); nan for a class without a true pixel."""
    hits, truth, predicted = np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1), matrix.sum(axis=-2)
    return np.divide(hits, truth + predicted - hits, out=np.full(hits.shape, np.nan), where=truth > 0)


def accuracy(matrix: np.ndarray) -> np.ndarray:
    """Return the share of correct pixels of each class, (C,) float64; nan for a class without a true pixel."""
    truth = matrix.sum(axis=1)
    return np.divide(np.diag(matrix), truth, out=np.full(len(truth), np.nan), where=truth > 0)


def harmonic_mean(seen: float | None, unseen: float | None) -> float | None:
    """Return the harmonic mean of a metric of the seen and of the unseen classes; of the mIoU it is hIoU. None if either is None."""
    if seen is None or unseen is None:
        return None
    return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0


def hious(matrices: np.ndarray, seen: Sequence[int], unseen: Sequence[int], absent: Absent = "skip") -> np.ndarray:
    """Return the hIoU (b,) in per cent of confusion matrices (b, C, C), as `summarise` does of one; nan for its None."""
    ious = iou(matrices)
    known = ~np.isnan(ious)
    means = []
    for labels in (list(seen), list(unseen)):
        n = np.full(len(ious), len(labels)) if absent == "zero" else known[:, labels].sum(axis=1)
        sums = 100 * np.nan_to_num(ious[:, labels]).sum(axis=1)
        means.append(np.divide(sums, n, out=np.full(len(ious), np.nan), where=n > 0))
    product, total = means[0] * means[1], means[0] + means[1]
    # nan stays nan, since no comparison with it holds.
    return np.divide(2 * product, total, out=total.copy(), where=total > 0)


def summarise(
    matrix: np.ndarray, seen: Sequence[int], unseen: Sequence[int], absent: Absent = "skip"
) -> dict[str, Any]:
    """Return the metrics of the paper in per cent.

    The IoU of a class counts all valid pixels, so errors between seen and unseen classes lower both groups. The PA of a group is the
    share of correct pixels among those whose true class is in the group. The last version of the released code computes the same,
    without hIoU. An older version restricted the matrix to the rows of the group.

    Args:
        matrix: (C, C), true classes in rows.
        seen: label ids of the seen classes, including the background.
        unseen: label ids of the unseen classes.
        absent: how the means MA and mIoU treat a class without a true pixel: `skip` leaves it out, `zero` counts it as 0, as the
            released code does.

    Returns:
        {seen: {PA, MA, mIoU, fwIoU}, unseen: {...}, all: {...}, hIoU}; None where a group has no class to average over. The
        frequency-weighted IoU (fwIoU) weighs the IoU of each class of the group by its true pixels.
    """
    groups = {"seen": list(seen), "unseen": list(unseen), "all": sorted([*seen, *unseen])}
    ious, accuracies = iou(matrix), accuracy(matrix)
    summary: dict[str, Any] = {}
    for name, labels in groups.items():
        pixels = matrix[labels].sum()
        summary[name] = {
            "PA": percent(np.diag(matrix)[labels].sum() / pixels if pixels else np.nan),
            "MA": percent(_mean(accuracies[labels], absent)),
            "mIoU": percent(_mean(ious[labels], absent)),
            "fwIoU": percent(_frequency_weighted(matrix[labels].sum(axis=1), ious[labels])),
        }
    summary["hIoU"] = harmonic_mean(summary["seen"]["mIoU"], summary["unseen"]["mIoU"])
    return summary


def restricted(matrix: np.ndarray, labels: Sequence[int]) -> dict[str, float | None]:
    """Return PA, MA, mIoU and fwIoU in per cent of the pixels whose true class is in a group, as SZN's code computes them.

    It restricts the matrix to the rows of the group. So pixels of other groups are never false positives, which raises the IoU; and a
    class of another group that is predicted at a pixel of this one counts in the mean with an IoU of 0, which lowers it. `summarise`
    has the usual definition.

    Args:
        matrix: (C, C), true classes in rows.
        labels: label ids of the group.
    """
    rows = np.zeros_like(matrix)
    rows[list(labels)] = matrix[list(labels)]
    hits, truth, predicted = np.diag(rows), rows.sum(axis=1), rows.sum(axis=0)
    union = truth + predicted - hits
    ious = np.divide(hits, union, out=np.full(len(rows), np.nan), where=union > 0)
    return {
        "PA": percent(hits.sum() / truth.sum() if truth.any() else np.nan),
        "MA": percent(_mean(accuracy(rows), "skip")),
        "mIoU": percent(_mean(ious, "skip")),
        "fwIoU": percent(_frequency_weighted(truth, ious)),
    }


def _frequency_weighted(truth: np.ndarray, ious: np.ndarray) -> float:
    """Return the mean of the IoU of each class, weighted by its true pixels; nan if there are none."""
    shown = truth > 0
    return float((truth[shown] * ious[shown]).sum() / truth.sum()) if shown.any() else np.nan


def _mean(values: np.ndarray, absent: str) -> float:
    values = np.nan_to_num(values) if absent == "zero" else values[~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan


def percent(share: float) -> float | None:
    """Return 100 times a share, None for nan."""
    return None if np.isnan(share) else 100 * float(share)
