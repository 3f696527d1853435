"""Pixels and boxes of single annotations, and why some cannot be used."""

import numpy as np
import pycocotools.mask
import pytest

from tests.support import coco_world
from zeroshot.datasets.instances import segments

IMAGE = {"id": 11, "file_name": "11.png", "height": coco_world.SIZE[0], "width": coco_world.SIZE[1]}


def check(**more):
    return segments.check(coco_world.annotation(1, 11, 3, **more), IMAGE)


def uncompressed(mask):
    """Run lengths down the columns, counted one by one."""
    counts, value = [0], 0
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return {"size": coco_world.SIZE, "counts": counts}


def test_polygons_and_both_kinds_of_run_lengths_become_equal_compressed_run_lengths():
    expected = np.zeros(coco_world.SIZE, np.uint8)
    expected[10:30, 5:25] = 1
    outlines = (coco_world.box(5, 10, 25, 30), coco_world.runs(5, 10, 25, 30), uncompressed(expected))
    for outline in outlines:
        if isinstance(outline, dict):
            outline = outline | {"size": tuple(outline["size"])}
        segment = check(segmentation=outline)
        assert isinstance(segment, segments.Segment) and not segment.clipped
        entry = segment.entry
        np.testing.assert_array_equal(pycocotools.mask.decode(entry["segmentation"]), expected)
        assert entry == coco_world.annotation(1, 11, 3, segmentation=coco_world.runs(5, 10, 25, 30))


def test_missing_boxes_and_areas_are_made_from_the_pixels():
    entry = check(bbox=None, area=None).entry
    assert (entry["bbox"], entry["area"]) == ([5.0, 10.0, 20.0, 20.0], 400)


@pytest.mark.parametrize(
    ("box", "expected", "clipped"),
    [
        ([-3, 10, 20, 20], [0, 10, 17, 20], True),
        ([50, 35, 20, 20], [50, 35, 10, 5], True),
        ([-0.2, 10, 20, 30.3], [0, 10, 19.8, 30], False),
        ([0.5, 10, 59.5, 29.99], [0.5, 10, 59.5, 29.99], False),
    ],
)
def test_boxes_are_clipped_to_the_image(box, expected, clipped):
    segment = check(bbox=box)
    assert segment.entry["bbox"] == pytest.approx(expected) and segment.clipped == clipped


@pytest.mark.parametrize(
    ("more", "cause", "detail"),
    [
        ({"segmentation": None}, segments.EMPTY_MASK, "has no outline"),
        ({"segmentation": []}, segments.EMPTY_MASK, "has no outline"),
        ({"segmentation": {"size": coco_world.SIZE, "counts": []}}, segments.EMPTY_MASK, "has no outline"),
        ({"segmentation": [[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]]}, segments.EMPTY_MASK, "contains the centre of no pixel"),
        ({"segmentation": {"size": coco_world.SIZE, "counts": [2400]}}, segments.EMPTY_MASK, "centre of no pixel"),
        ({"bbox": [5, 10, 0, 20]}, segments.NO_BOX, "its box is 0 x 20 pixels"),
        ({"bbox": [5, 10, 3, -1]}, segments.NO_BOX, "its box is 3 x -1 pixels"),
        (
            {"bbox": [60, 10, 3, 4]},
            segments.OUTSIDE,
            "its box [60, 10, 3, 4] is outside of the image, which is 60 x 40",
        ),
        ({"bbox": [5, -9, 3, 4]}, segments.OUTSIDE, "outside of the image"),
        ({"segmentation": [[1, 1, 5, 5]]}, segments.DAMAGED, "polygon with fewer than 3 points"),
        ({"segmentation": [[1, 1, 5, 5, 9, 9, 2]]}, segments.DAMAGED, "odd number of coordinates"),
        ({"segmentation": {"size": (60, 40), "counts": [2400]}}, segments.DAMAGED, "run lengths of another size"),
        ({"segmentation": {"size": coco_world.SIZE, "counts": [9, 9]}}, segments.DAMAGED, "do not fill the image"),
    ],
)
def test_unusable_annotations_have_a_cause(more, cause, detail):
    found = check(**more)
    assert isinstance(found, segments.Unusable) and found.cause == cause and cause in segments.CAUSES
    assert detail in found.detail
