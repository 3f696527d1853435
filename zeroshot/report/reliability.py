"""Whether confidences can be trusted: accuracy of pixels by the confidence of their label."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
import torch

from zeroshot.cache import maps
from zeroshot.images import grids, label_ids
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import decisions

N_BINS = 12


@dataclasses.dataclass(frozen=True)
class Bins:
    """Sums over the pixels in each of n bins of confidence, which have equal width from 0 to 1.

    Attributes:
        pixels: (n,) int64, their number.
        correct: (n,) int64, the number of correct ones.
        confidence: (n,) float64, the sum of their confidences.
    """

    pixels: np.ndarray
    correct: np.ndarray
    confidence: np.ndarray

    def __add__(self, other: "Bins") -> "Bins":
        """Return the sums over the pixels of both."""
        return Bins(self.pixels + other.pixels, self.correct + other.correct, self.confidence + other.confidence)


def bins(confidence: np.ndarray, correct: np.ndarray, n: int = N_BINS) -> Bins:
    """Sort pixels into bins.

    Args:
        confidence: (m,) float, from 0 to 1; a confidence of 1 is in the last bin.
        correct: (m,) bool.
        n: the number of bins.
    """
    index = np.minimum((confidence * n).astype(np.int64), n - 1)
    return Bins(
        np.bincount(index, minlength=n),
        np.bincount(index[correct], minlength=n),
        np.bincount(index, weights=confidence, minlength=n),
    )


def calibration_error(sums: Bins) -> float | None:
    """Return the expected calibration error: the mean over pixels of the distance of accuracy and confidence in their bin.

    It is None without a pixel.
    """
    total = sums.pixels.sum()
    return float(np.abs(sums.correct - sums.confidence).sum() / total) if total else None


@torch.inference_mode()
def measure(
    classifiers: Mapping[str, pixel_classifier.PixelClassifier], cache: Iterable[maps.Map], stride: int, n: int = N_BINS
) -> dict[str, dict[str, Bins]]:
    """Return for each classifier the bins of the pixels that it labels as seen, and as unseen classes.

    The confidence is that of `zeroshot predict` (`decisions.probabilities`), with the seen bias. Pixels without a true label do not count.

    Args:
        classifiers: by name.
        cache: feature maps with masks, of which one is in memory at a time.
        stride: pixels between neighbouring cells.
        n: the number of bins.
    """
    empty = bins(np.zeros(0), np.zeros(0, bool), n)
    sums = {model: dict.fromkeys(_roles(classifier), empty) for model, classifier in classifiers.items()}
    for item in cache:
        for model, classifier in classifiers.items():
            for name, counted in _of_map(classifier, item, stride, n).items():
                sums[model][name] += counted
    return sums


def _roles(classifier: pixel_classifier.PixelClassifier) -> list[str]:
    return ["seen", "unseen"] if classifier.unseen.any() else ["seen"]


def _of_map(classifier: pixel_classifier.PixelClassifier, item: maps.Map, stride: int, n: int) -> dict[str, Bins]:
    """Return the bins of the pixels of one image."""
    h, w, d = item.features.shape
    cells = torch.from_numpy(item.features).reshape(-1, d).float().to(classifier.weight.device)
    outputs = decisions.with_means(classifier, decisions.outputs(classifier, cells).T.reshape(-1, h, w))
    size = (item.mask.shape[0], item.mask.shape[1])
    pixels = grids.upsample(decisions.with_margin(classifier, outputs)[None], size, stride)[0]
    row, best = decisions.choose(classifier, decisions.probabilities(classifier, pixels))
    confidence, rows = best.double().cpu().numpy(), row.cpu().numpy()
    labels, unseen = classifier.labels.cpu().numpy()[rows], classifier.unseen.cpu().numpy()[rows]
    scored = item.mask != label_ids.IGNORE_INDEX
    sums = {}
    for name in _roles(classifier):
        of_role = scored & (unseen == (name == "unseen"))
        sums[name] = bins(confidence[of_role], labels[of_role] == item.mask[of_role], n)
    return sums
