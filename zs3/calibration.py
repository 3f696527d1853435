"""The bias on seen logits, and which one zero-shot cross-validation picks (DESIGN.md, section 4)."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pydantic
import torch

from zs3 import errors, metrics, params, pixel_classifier


@params.section
class Params:
    """The section `classifier.calibration`; see params.yaml."""

    enabled: bool
    folds: params.Count
    held_out: params.Count
    biases: Annotated[tuple[params.Float, ...], pydantic.Field(min_length=1)]


def folds(labels: Sequence[int], n_folds: int, held_out: int, seed: int) -> list[list[int]]:
    """Draw disjoint sets of seen classes, each to be treated as unseen once.

    Args:
        labels: seen label ids that may be held out (the background stays).
        n_folds: the most folds; fewer if the classes do not suffice.
        held_out: classes of one fold; fewer if that would leave no class to learn from.
        seed: the only source of randomness.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    if len(labels) < 2:
        raise errors.UserError(
            f"calibration needs two seen classes besides the background, found {len(labels)}; disable it"
        )
    size = min(held_out, len(labels) // 2)
    shuffled = np.random.default_rng(seed).permutation(np.sort(np.asarray(labels)))
    n = min(n_folds, len(labels) // size)
    return [sorted(shuffled[k * size : (k + 1) * size].tolist()) for k in range(n)]


def hiou_by_bias(
    classifier: pixel_classifier.PixelClassifier,
    features: torch.Tensor,
    labels: np.ndarray,
    weights: np.ndarray,
    biases: Sequence[float],
    chunk: int = 65536,
) -> list[float]:
    """Score a classifier, some of whose classes play unseen, at several seen biases.

    Args:
        classifier: over all classes in `labels`.
        features: (n, d) float16, real ones.
        labels: (n,) uint8, their true classes.
        weights: (n,) float32, how many cells each stands for.
        biases: taken off the seen logits.
        chunk: rows handled at a time.

    Returns:
        hIoU in per cent for each bias, estimated for all cells of the training images.
    """
    seen, unseen = (classifier.labels[classifier.unseen == flag].tolist() for flag in (False, True))
    size = int(classifier.labels.max()) + 1
    matrices = np.zeros((len(biases), size, size))
    shift = (~classifier.unseen).float()
    for start in range(0, len(labels), chunk):
        rows = slice(start, start + chunk)
        logits = classifier.logits(features[rows].float().to(classifier.weight.device))
        for k, bias in enumerate(biases):
            predicted = classifier.labels[(logits - bias * shift).argmax(1)].cpu().numpy()
            matrices[k] += metrics.confusion(labels[rows], predicted, size, weights[rows])
    return [metrics.summarise(matrix, seen, unseen)["hIoU"] for matrix in matrices]


def choose(curves: Sequence[Sequence[float]], biases: Sequence[float]) -> float:
    """Return the bias with the best mean hIoU over folds, the smallest of equals; curves is (folds, biases)."""
    mean = np.mean(curves, axis=0)
    return float(min(bias for bias, value in zip(biases, mean, strict=True) if value == mean.max()))
