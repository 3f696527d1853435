"""Confidence intervals of hIoU over the evaluation images: would other images of the same kind give the same order of methods?"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse

from zeroshot.evaluation import metrics

RESAMPLES = 2000
CONFIDENCE = 0.95
# Largest numbers of resampled sets of images that are scored together, and of numbers in memory for them, as the entries of
# their confusion matrices, which are dense. The interval does not depend on them.
_BATCH = 50
_BATCH_ENTRIES = 2**24


@dataclasses.dataclass(frozen=True)
class Interval:
    """The bounds of a confidence interval, in per cent."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is outside."""
        return self.low > 0 or self.high < 0


@dataclasses.dataclass(frozen=True)
class Scored:
    """The runs of one method with different seeds, on the same images.

    Attributes:
        images: ids of the n images.
        counts: of each run, sparse (n, C * C), as in `image_confusions.ImageConfusions`.
        seen: label ids.
        unseen: label ids.
        absent: how a class without a true pixel counts, as in `metrics.summarise`. In a resampled set more classes can be absent.
    """

    images: tuple[str, ...]
    counts: Sequence[scipy.sparse.csr_matrix]
    seen: Sequence[int]
    unseen: Sequence[int]
    absent: metrics.Absent

    @property
    def has_hiou(self) -> bool:
        """Whether every run has an hIoU on all images together; `metrics.summarise` gives none where a group has no true pixel."""
        return all(
            metrics.summarise(_matrices(counts.sum(axis=0))[0], self.seen, self.unseen, self.absent)["hIoU"] is not None
            for counts in self.counts
        )

    def hious(self, image_counts: np.ndarray) -> np.ndarray:
        """Return the mean over runs of hIoU (b,) for b sets of images, nan for a set in which a group of classes has no true pixel.

        Args:
            image_counts: (b, n), how often each image is in a set.
        """
        by_run = []
        for counts in self.counts:
            matrices = _matrices((counts.T @ image_counts.T).T)
            by_run.append(metrics.hious(matrices, self.seen, self.unseen, self.absent))
        return np.mean(by_run, axis=0)


def _matrices(entries: np.ndarray) -> np.ndarray:
    """Return confusion matrices (b, C, C) of their entries (b, C * C)."""
    n_classes = round(entries.shape[1] ** 0.5)
    return np.asarray(entries).reshape(-1, n_classes, n_classes)


def interval(scored: Scored, other: Scored | None = None) -> Interval | None:
    """Return the 95 % percentile interval of hIoU, or of the difference to `other`, over resampled evaluation images.

    Both methods are scored on the same resampled images, so what makes images hard for both does not count (a paired comparison). The
    seeds are not resampled: the mean over them is scored.

    Returns:
        the interval in per cent, over the resampled sets that have an hIoU; None if there are fewer than two images, if there is no
        hIoU (no unseen class, or no image shows one), or if `other` has other images.
    """
    n_images, n_entries = scored.counts[0].shape
    compared = [scored] if other is None else [scored, other]
    if n_images < 2 or any(one.images != scored.images or not one.has_hiou for one in compared):
        return None

    def differences(image_counts: np.ndarray) -> np.ndarray:
        values = scored.hious(image_counts)
        return values if other is None else values - other.hious(image_counts)

    return resampled(differences, n_images, RESAMPLES, n_entries)


def resampled(
    score: Callable[[np.ndarray], np.ndarray], n_images: int, n_resamples: int, n_entries: int
) -> Interval | None:
    """Return the 95 % percentile interval of a metric over images drawn with replacement (scipy.stats.bootstrap).

    Sets without a score do not count: where few images show an unseen class, some sets have none of them. None if no set has a score.

    Args:
        score: returns the metric (b,) in per cent of b sets of images, nan for a set that has none; its argument (b, n) says how often
            each image is in a set.
        n_images: n, two or more.
        n_resamples: number of sets.
        n_entries: numbers that `score` keeps in memory for each set.
    """
    # scipy.stats takes half a second to import.
    import scipy.stats

    def statistic(index: np.ndarray, axis: int) -> np.ndarray:
        sets = np.moveaxis(np.atleast_2d(index), axis, -1).reshape(-1, index.shape[axis])
        image_counts = np.stack([np.bincount(one, minlength=n_images) for one in sets])
        return score(image_counts).reshape(np.delete(index.shape, axis))

    with warnings.catch_warnings():
        # Its own interval, which is not used, warns of sets without a score.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        result = scipy.stats.bootstrap(
            (np.arange(n_images),), statistic, n_resamples=n_resamples, vectorized=True,
            batch=max(1, min(_BATCH, _BATCH_ENTRIES // n_entries)), method="percentile", rng=np.random.default_rng(0),
        )  # fmt: skip
    scores = result.bootstrap_distribution
    scores = scores[~np.isnan(scores)]
    if not len(scores):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return Interval(float(low), float(high))
