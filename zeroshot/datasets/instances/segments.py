"""The pixels and the box of one annotation: run lengths that later stages can trust, a box inside of the image, or why it has none."""

import dataclasses
from typing import Any

import pycocotools.mask

from zeroshot.datasets import run_lengths
from zeroshot.datasets.instances import annotation_files

# Causes for which an annotation is left out, as in the table of counts.
EMPTY_MASK, NO_BOX, OUTSIDE, DAMAGED = "empty_mask", "box_without_area", "box_outside", "damaged_outline"
CAUSES = (EMPTY_MASK, NO_BOX, OUTSIDE, DAMAGED)
# What a box may leave the image by without being reported: annotation tools round to hundredths of a pixel.
_ROUNDING = 0.5


@dataclasses.dataclass(frozen=True)
class Segment:
    """A usable annotation.

    Attributes:
        entry: the annotation in COCO's layout, with compressed run lengths, an area, and a box inside of the image.
        clipped: whether the box left the image by more than rounding.
    """

    entry: dict[str, Any]
    clipped: bool


@dataclasses.dataclass(frozen=True)
class Unusable:
    """Why an annotation is left out: one of `CAUSES`, and what exactly was found."""

    cause: str
    detail: str


def check(annotation: annotation_files.Annotation, image: annotation_files.Image) -> Segment | Unusable:
    """Return an annotation of an image with checked pixels and box, or why it cannot be used.

    A box that is missing is made from the pixels. One that is partly outside of the image is clipped.
    """
    size = (image["height"], image["width"])
    outline = annotation.get("segmentation")
    if outline is None or run_lengths.is_empty(outline):
        return Unusable(EMPTY_MASK, "has no outline")
    try:
        counts = run_lengths.count(outline, size)
    except run_lengths.OutlineError as error:
        return Unusable(DAMAGED, str(error))
    area = sum(counts[1::2])
    if not area:
        return Unusable(EMPTY_MASK, "its outline contains the centre of no pixel")
    # The type stubs of pycocotools have other types than its functions take and return.
    layout: Any = {"size": list(size), "counts": list(counts)}
    runs: Any = pycocotools.mask.frPyObjects(layout, *size)
    x, y, width, height = annotation.get("bbox") or map(float, pycocotools.mask.toBbox(runs))
    if width <= 0 or height <= 0:
        return Unusable(NO_BOX, f"its box is {width:g} x {height:g} pixels")
    left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + width, float(size[1])), min(y + height, float(size[0]))
    if right <= left or bottom <= top:
        return Unusable(
            OUTSIDE, f"its box {[x, y, width, height]} is outside of the image, which is {size[1]} x {size[0]}"
        )
    is_inside = (left, top, right, bottom) == (x, y, x + width, y + height)
    entry = {
        "id": annotation["id"],
        "image_id": annotation["image_id"],
        "category_id": annotation["category_id"],
        "bbox": [x, y, width, height] if is_inside else [left, top, right - left, bottom - top],
        "area": area if annotation.get("area") is None else annotation.get("area"),
        "iscrowd": annotation.get("iscrowd", 0),
        "segmentation": {"size": list(size), "counts": runs["counts"].decode()},
    }
    return Segment(entry, max(left - x, top - y, x + width - right, y + height - bottom) > _ROUNDING)
