"""Metrics of a classifier by seen bias, for all biases in one pass over the features."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from zeroshot.cache import rows
from zeroshot.evaluation import metrics


class Sided(Protocol):
    """A classifier that compares the best class of two sides: `PixelClassifier` or `MaskedClassifier`."""

    @property
    def labels(self) -> torch.Tensor:
        """The label id (n,) int64 of each class."""
        ...

    @property
    def unseen(self) -> torch.Tensor:
        """Whether each class is unseen, (n,) bool."""
        ...

    @property
    def device(self) -> torch.device:
        """The device to compute on."""
        ...

    def sides(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return label ids (m,) of the best class of each side of features (m, d), and the margin (m,) of the seen side."""
        ...


def by_bias(
    classifier: Sided, scored: rows.Rows, biases: Sequence[float], chunk: int = 65536
) -> list[dict[str, float | None]]:
    """Score a classifier of seen classes and classes that act as unseen, at several seen biases.

    Args:
        classifier: of all classes of `scored`; its own seen bias is ignored.
        scored: `features` (n, d) float16 of real pixels, `label` (n,) uint16, and `weight` (n,) float32, how many cells a row represents.
        biases: a row is on the seen side where the margin is at least the bias.
        chunk: rows processed at a time.

    Returns:
        {seen, unseen, hIoU} for each bias: two mIoUs and their harmonic mean, in per cent; None without a row of such a class.
    """
    seen, unseen = (classifier.labels[classifier.unseen == flag].tolist() for flag in (False, True))
    size = int(classifier.labels.max()) + 1
    # A bias changes neither the best seen nor the best unseen class, so these serve for all biases.
    best_seen, best_unseen, margin = _sides(classifier, scored["features"], chunk)
    table = []
    for bias in biases:
        predicted = np.where(margin >= bias, best_seen, best_unseen)
        summary = metrics.summarise(metrics.confusion(scored["label"], predicted, size, scored["weight"]), seen, unseen)
        mean_ious = {name: summary[name]["mIoU"] for name in ("seen", "unseen")}
        table.append(mean_ious | {"hIoU": summary["hIoU"]})
    return table


@torch.inference_mode()
def _sides(classifier: Sided, features: np.ndarray, chunk: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `classifier.sides` does of features (n, d) float16, `chunk` rows at a time."""
    parts = [
        classifier.sides(torch.from_numpy(features[start : start + chunk]).to(classifier.device).float())
        for start in range(0, len(features), chunk)
    ]
    seen, unseen, margin = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
    return seen, unseen, margin
