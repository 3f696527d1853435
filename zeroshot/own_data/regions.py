"""Masks from the regions that annotation tools store: polygons and run lengths, painted as label ids."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pycocotools.mask

from zeroshot.images import label_ids
from zeroshot.own_data import annotations, class_list

# One count of COCO's compressed run lengths: six bits a character, of which one says that more follow.
_COUNT = r"[P-o]{0,6}[0-O]"


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
            counts = _counts(region.runs or _fill(region.polygons, size))
            if min(counts) < 0 or sum(counts) != mask.size:
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
        if isinstance(region.runs, str) and not re.fullmatch(f"(?:{_COUNT})*", region.runs):
            return "damaged run lengths"
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


def _fill(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> str:
    """Return compressed run lengths of the union of polygons."""
    # The type stubs of pycocotools know whole numbers only, and text where there are bytes.
    corners: Any = [list(polygon) for polygon in polygons]
    counts: Any = pycocotools.mask.merge(pycocotools.mask.frPyObjects(corners, *size))["counts"]
    return counts.decode()


def _counts(runs: Sequence[int] | str) -> Sequence[int]:
    """Return run lengths; of compressed ones, each is five bits a character, from the fourth on the difference to the last but one.

    pycocotools.mask.decode does not check that they fill the image, and returns memory that nobody wrote.
    """
    if not isinstance(runs, str):
        return runs
    counts: list[int] = []
    for text in re.findall(_COUNT, runs):
        bits = [ord(character) - 48 for character in text]
        count = sum((part & 31) << 5 * place for place, part in enumerate(bits))
        if bits[-1] & 16:
            count -= 1 << 5 * len(bits)
        counts.append(count + (counts[-2] if len(counts) > 2 else 0))
    return counts
