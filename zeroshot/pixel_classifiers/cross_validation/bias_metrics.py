"""Metrics of a classifier by seen bias, for all biases in one pass over the features."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from zeroshot.cache import rows
from zeroshot.evaluation import metrics
from zeroshot.pixel_classifiers import pixel_classifier


def by_bias(
    classifier: pixel_classifier.PixelClassifier, scored: rows.Rows, biases: Sequence[float], chunk: int = 65536
) -> list[dict[str, float | None]]:
    """Score a classifier of seen classes and classes that act as unseen, at several seen biases.

    Args:
        classifier: of all classes of `scored`; its own seen bias is ignored.
        scored: `features` (n, d) float16 of real pixels, `label` (n,) uint16, and `weight` (n,) float32, how many cells a row represents.
        biases: subtracted from the seen logits.
        chunk: rows processed at a time.

    Returns:
        {seen, unseen, hIoU} for each bias: two mIoUs and their harmonic mean, in per cent; None without a row of such a class.
    """
    seen, unseen = (classifier.labels[classifier.unseen == flag].tolist() for flag in (False, True))
    size = int(classifier.labels.max()) + 1
    best_seen, best_unseen, margin = _best(classifier, scored["features"], chunk)
    table = []
    for bias in biases:
        predicted = np.where(margin >= bias, best_seen, best_unseen)
        summary = metrics.summarise(metrics.confusion(scored["label"], predicted, size, scored["weight"]), seen, unseen)
        mean_ious = {name: summary[name]["mIoU"] for name in ("seen", "unseen")}
        table.append(mean_ious | {"hIoU": summary["hIoU"]})
    return table


@torch.inference_mode()
def _best(
    classifier: pixel_classifier.PixelClassifier, features: np.ndarray, chunk: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best seen and the best unseen label of each row, (n,) int64, and the difference of their logits, (n,) float32.

    A bias on seen logits does not change which seen class is best, so these serve for all biases.
    """
    plain = dataclasses.replace(classifier, seen_bias=0.0)
    parts = []
    for start in range(0, len(features), chunk):
        logits = plain.logits(torch.from_numpy(features[start : start + chunk]).to(plain.weight.device).float())
        best = [(plain.labels[plain.unseen == flag], logits[:, plain.unseen == flag].max(1)) for flag in (False, True)]
        (seen_labels, seen), (unseen_labels, unseen) = best
        parts.append((seen_labels[seen.indices], unseen_labels[unseen.indices], seen.values - unseen.values))
    best_seen, best_unseen, margin = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
    return best_seen, best_unseen, margin
