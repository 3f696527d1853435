"""Dividing images into a training and a validation list, stratified by class."""

from collections.abc import Collection, Mapping

import numpy as np


def draw(shown: Mapping[str, Collection[int]], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Divide images so that every class has about the same share of its images in validation.

    Classes are served from the rarest to the most frequent. Each gives its undecided images at random, until the validation list has
    its share of them, rounded, and at least one if it has two.

    Args:
        shown: id -> label ids that the image shows.
        share: of the images that go to validation.
        seed: the only source of randomness.

    Returns:
        the ids for training and for validation, sorted.
    """
    random = np.random.default_rng(seed)
    images_of: dict[int, list[str]] = {}
    for id in sorted(shown):
        for label in shown[id]:
            images_of.setdefault(label, []).append(id)
    val: set[str] = set()
    decided: set[str] = set()
    for _, ids in sorted(images_of.items(), key=lambda item: (len(item[1]), item[0])):
        wanted = max(round(share * len(ids)), int(len(ids) > 1)) - len(val.intersection(ids))
        undecided = [id for id in ids if id not in decided]
        order = [undecided[place] for place in random.permutation(len(undecided))]
        val.update(order[: max(0, wanted)])
        decided.update(ids)
    return sorted(shown.keys() - val), sorted(val)
