"""Confidence intervals of harmonic means of mAP over the evaluation images, from the matches that COCOeval made once."""

from collections.abc import Collection, Mapping

import numpy as np

from zeroshot.evaluation import bootstrap
from zeroshot.evaluation.instances import average_precision

# COCOeval's recalls.
_RECALLS = np.linspace(0, 1, 101)


def harmonic_map(
    scores: Mapping[int, average_precision.ClassScores],
    seen: Collection[int],
    unseen: Collection[int],
    n_resamples: int,
) -> bootstrap.Interval | None:
    """Return the 95 % percentile interval of the harmonic mean of the mAP at IoU 0.5 of seen and unseen classes.

    Whole images are resampled. A detection is matched with the objects of its own image alone, so its match holds in every set of images,
    and only the order of all detections by score is gone through again. A class without an object in a set does not count in its means,
    and a set in which a group has no object does not count at all.

    Args:
        scores: label -> scores of all classes on the same images.
        seen: labels of the seen classes.
        unseen: labels of the unseen classes.
        n_resamples: number of sets of images; 0 for no interval.

    Returns:
        the interval in per cent; None if no interval is asked for, there are fewer than two images, or a group has no object.
    """
    groups = [[scores[label].matches for label in labels if scores[label].objects] for labels in (seen, unseen)]
    if not n_resamples or not all(groups):
        return None
    n_images = len(groups[0][0].objects)
    if n_images < 2:
        return None

    def harmonic(image_counts: np.ndarray) -> np.ndarray:
        means = []
        for group in groups:
            aps = np.stack([resampled_ap(matches, image_counts) for matches in group])
            known = ~np.isnan(aps)
            n, sums = known.sum(axis=0), np.where(known, aps, 0).sum(axis=0)
            means.append(np.divide(sums, n, out=np.full(len(image_counts), np.nan), where=n > 0))
        product, total = means[0] * means[1], means[0] + means[1]
        # nan stays nan, since no comparison with it holds.
        return 100 * np.divide(2 * product, total, out=total.copy(), where=total > 0)

    n_detections = max(len(matches.images) for group in groups for matches in group)
    return bootstrap.resampled(harmonic, n_images, n_resamples, max(1, n_detections))


def resampled_ap(matches: average_precision.Matches, image_counts: np.ndarray) -> np.ndarray:
    """Return the average precision (b,) at IoU 0.5 of a class in b sets of images, as COCOeval computes it; nan where it has no object.

    A copy of a detection has the score of the detection. So all copies can be counted at once: between them the recall reaches no value
    at a higher precision than behind the last of them.

    Args:
        matches: the detections of the class.
        image_counts: (b, n), how often each of the n images is in a set.
    """
    n_objects = image_counts @ matches.objects
    counts = image_counts[:, matches.images] * ~matches.ignored
    right, total = np.cumsum(counts * matches.right, axis=1), np.cumsum(counts, axis=1)
    precision = right / np.maximum(total, 1)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # Behind the last detection, for recalls that are not reached.
    highest = np.pad(highest, ((0, 0), (0, 1)))
    aps = np.full(len(image_counts), np.nan)
    for number in np.flatnonzero(n_objects).tolist():
        reached = np.searchsorted(right[number] / n_objects[number], _RECALLS, side="left")
        aps[number] = highest[number, reached].mean()
    return aps
