"""Scoring a classifier on the cached feature maps of the evaluation images."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from zs3 import grids, metrics, pixel_classifier
from zs3.shards import maps


@torch.inference_mode()
def predict(
    classifier: pixel_classifier.PixelClassifier, features: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Return label ids (H, W) int64 at `size`, the logits of features (h, w, d) float32 upsampled bilinearly."""
    h, w, d = features.shape
    logits = classifier.logits(features.reshape(-1, d)).T.reshape(1, -1, h, w)
    return classifier.labels[grids.upsample(logits, size)[0].argmax(0)]


def confusions(
    classifier: pixel_classifier.PixelClassifier, cache: Iterable[maps.Map], n_classes: int
) -> dict[str, np.ndarray]:
    """Return the confusion matrices (C, C) int64 over all valid pixels, with the classifier's seen bias and without.

    Args:
        classifier: on the device to compute on.
        cache: the maps to score, read one at a time.
        n_classes: C.
    """
    variants = {"calibrated": classifier, "uncalibrated": dataclasses.replace(classifier, seen_bias=0.0)}
    if classifier.seen_bias == 0:
        del variants["calibrated"]
    totals = {name: np.zeros((n_classes, n_classes), dtype=np.int64) for name in variants}
    for item in cache:
        features = torch.from_numpy(item.features).to(classifier.weight.device).float()
        for name, variant in variants.items():
            predicted = predict(variant, features, item.mask.shape).cpu().numpy()
            totals[name] += metrics.confusion(item.mask, predicted, n_classes)
    return {"calibrated": totals["uncalibrated"], **totals}


def class_table(matrix: np.ndarray, classes: Sequence[str], unseen: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row {class, role, IoU, accuracy, pixels} for each class; per cent, None for a class without a true pixel."""
    ious, accuracies = metrics.iou(matrix), metrics.accuracy(matrix)
    return [
        {
            "class": name,
            "role": "unseen" if label in unseen else "seen",
            "IoU": metrics.percent(ious[label]),
            "accuracy": metrics.percent(accuracies[label]),
            "pixels": int(matrix[label].sum()),
        }
        for label, name in enumerate(classes)
    ]


def confusion_table(matrix: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row {truth, prediction, share} for each pair of classes, the share in per cent of the true class's pixels."""
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return [
        {"truth": classes[row], "prediction": classes[column], "share": round(float(share), 4)}
        for (row, column), share in np.ndenumerate(shares)
    ]
