"""Masks from the regions that annotation tools store: polygons and run lengths, painted as label ids."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zeroshot.images import label_ids, run_lengths
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
        fault = _fault(region, size)
        if fault is None:
            runs = region.runs or run_lengths.compress([list(polygon) for polygon in region.polygons], size)["counts"]
            counts = run_lengths.decode(runs) if isinstance(runs, str) else runs
            if counts is None:
                fault = "damaged run lengths"
            elif min(counts) < 0 or sum(counts) != mask.size:
                fault = "damaged run lengths: they do not fill the image"
            else:
                shapes.append((sum(counts[1::2]), region.value, counts))
        if fault is not None:
            faults.append((fault, region.where))
    for _, value, counts in sorted(shapes, key=lambda shape: -shape[0]):
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        mask[inside.reshape(size[::-1]).T] = labels[value]
    return mask, faults


def _fault(region: annotations.Region, size: tuple[int, int]) -> str | None:
    """Return what is wrong with a region before its pixels are counted."""
    height, width = size
    if region.runs:
        if region.size != size:
            return f"run lengths of another size than the image, {width} x {height}"
        return None
    for polygon in region.polygons:
        if len(polygon) % 2:
            return "polygon with an odd number of coordinates"
        if len(polygon) < 6:
            return "polygon with fewer than 3 points"
        # The time and memory of filling grow with the length of the outline, within the image or not.
        for side, values in ((width, polygon[::2]), (height, polygon[1::2])):
            if min(values) < -side or max(values) > 2 * side:
                return f"polygon far outside of the image, which is {width} x {height}"
    return None
