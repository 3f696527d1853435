"""The bias on seen logits, and which one cross-validation picks (DESIGN.md, section 4)."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pydantic
import torch

from zeroshot.base import params
from zeroshot.cache import rows
from zeroshot.evaluation import metrics
from zeroshot.zs3net import pixel_classifier

# Of the table of `Curves`.
COLUMNS = ("held_out", "bias", "hIoU")


@params.section
class Params:
    """The section `classifier.calibration`; see params.yaml."""

    enabled: bool
    biases: Annotated[tuple[params.Float, ...], pydantic.Field(min_length=1)]
    folds: params.Count
    held_out: params.Count


def figures_by_bias(
    classifier: pixel_classifier.PixelClassifier, scored: rows.Rows, biases: Sequence[float], chunk: int = 65536
) -> list[dict[str, float | None]]:
    """Score a classifier, some of whose classes play unseen, at several seen biases.

    Args:
        classifier: over all classes of `scored`; its own seen bias is left out.
        scored: `features` (n, d) float16, real ones, `label` (n,) uint8, and `weight` (n,) float32, how many cells each stands for.
        biases: taken off the seen logits.
        chunk: rows handled at a time.

    Returns:
        {seen, unseen, hIoU} for each bias: both mIoU and their harmonic mean, in per cent; None where no row has such a class.
    """
    seen, unseen = (classifier.labels[classifier.unseen == flag].tolist() for flag in (False, True))
    size = int(classifier.labels.max()) + 1
    best_seen, best_unseen, margin = _rivals(classifier, scored["features"], chunk)
    figures = []
    for bias in biases:
        predicted = np.where(margin >= bias, best_seen, best_unseen)
        summary = metrics.summarise(metrics.confusion(scored["label"], predicted, size, scored["weight"]), seen, unseen)
        groups = {name: summary[name]["mIoU"] for name in ("seen", "unseen")}
        figures.append(groups | {"hIoU": summary["hIoU"]})
    return figures


@torch.inference_mode()
def _rivals(
    classifier: pixel_classifier.PixelClassifier, features: np.ndarray, chunk: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best seen and the best unseen label of each row, (n,) int64, and by how much the seen logit is ahead, (n,) float32.

    A bias on seen logits never changes which seen class is best, so these answer for all biases.
    """
    plain = dataclasses.replace(classifier, seen_bias=0.0)
    parts = []
    for start in range(0, len(features), chunk):
        logits = plain.logits(torch.from_numpy(features[start : start + chunk]).to(plain.weight.device).float())
        rivals = [
            (plain.labels[plain.unseen == flag], logits[:, plain.unseen == flag].max(1)) for flag in (False, True)
        ]
        (seen_labels, seen), (unseen_labels, unseen) = rivals
        parts.append((seen_labels[seen.indices], unseen_labels[unseen.indices], seen.values - unseen.values))
    return tuple(torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))


def choose(curves: Sequence[Sequence[float]], biases: Sequence[float]) -> float:
    """Return the bias with the best mean hIoU over folds, the smallest of equals; curves is (folds, biases)."""
    mean = np.mean(curves, axis=0)
    return float(min(bias for bias, value in zip(biases, mean, strict=True) if value == mean.max()))


@dataclasses.dataclass(frozen=True)
class Curves:
    """hIoU against the bias in folds of cross-validation, perhaps none.

    Attributes:
        biases: those tried.
        held_out: the name of what is held out in each fold.
        scores: (folds, biases), in per cent.
    """

    biases: Sequence[float]
    held_out: Sequence[str] = ()
    scores: Sequence[Sequence[float]] = ()

    def calibrate(
        self, classifier: pixel_classifier.PixelClassifier, unit: float = 1.0
    ) -> pixel_classifier.PixelClassifier:
        """Return `classifier` with the bias that the folds choose, in units of `unit` logits; as it is where there is no fold."""
        if not self.scores:
            return classifier
        return dataclasses.replace(classifier, seen_bias=choose(self.scores, self.biases) * unit)

    def edge(self, key: str) -> str | None:
        """Say so if the best bias is an end of those tried, the values of parameter `key`."""
        if not self.scores:
            return None
        best = choose(self.scores, self.biases)
        for end, name, further in ((max, "largest", "larger"), (min, "smallest", "smaller")):
            if best == end(self.biases):
                return f"the best bias, {best:g}, is the {name} of {key}; try {further} ones"
        return None

    def table(self) -> list[dict[str, str | float]]:
        """Return a row of `COLUMNS` for each fold and bias."""
        return [
            {"held_out": name, "bias": bias, "hIoU": score}
            for name, curve in zip(self.held_out, self.scores, strict=True)
            for bias, score in zip(self.biases, curve, strict=True)
        ]
