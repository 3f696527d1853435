"""Masks from the regions that annotation tools store: polygons and run lengths, painted as label ids."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zeroshot.datasets import run_lengths
from zeroshot.images import label_ids
from zeroshot.own_data import annotations, class_list


def paint(
    outlines: annotations.Outlines, size: tuple[int, int], labels: Mapping[Any, int]
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Paint the annotations of an image by their area in pixels, larger ones first, so that what lies on others stays visible.

    Args:
        outlines: the annotations.
        size: (height, width) of the image.
        labels: value -> label id; that of `class_list.REST` is for what no annotation covers.

    Returns:
        label ids (H, W) uint16, and the faults as (kind, detail), whose annotations are not painted.
    """
    mask = np.full(size, labels[class_list.REST], label_ids.DTYPE)
    stated = tuple(given or actual for given, actual in zip(outlines.size, size, strict=True))
    if stated != size:
        detail = f"the image is {size[1]} x {size[0]}, {outlines.where} is {stated[1]} x {stated[0]}"
        return mask, [("image and mask differ in size", detail)]
    faults, shapes = [], []
    for region in outlines.regions:
        try:
            counts = run_lengths.count(region.outline, size)
        except run_lengths.OutlineError as error:
            faults.append((str(error), region.where))
        else:
            shapes.append((sum(counts[1::2]), region.value, counts))
    for _, value, counts in sorted(shapes, key=lambda shape: -shape[0]):
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        mask[inside.reshape(size[::-1]).T] = labels[value]
    return mask, faults
