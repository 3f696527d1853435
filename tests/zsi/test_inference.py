"""Lists of classes, boxes and masks of one image."""

import numpy as np
import pycocotools.mask
import pytest
import torch

from tests.support import disks_and_squares
from zeroshot.zsi import coco_results, inference

ALL = [(kind, protocol) for kind in ("mix", "mix_without_background", "direct") for protocol in ("zsi", "gzsi")]


@pytest.fixture(scope="module", params=["agnostic", "official"])
def detector(request):
    return disks_and_squares.new_detector(box_head={"regression": request.param}).eval()


def image(seed=0):
    return disks_and_squares.batch(1, seed)[0][0]


def boxes(*corners):
    return torch.tensor(corners, dtype=torch.float32)[:, None]


def first_column(labels):
    return torch.zeros_like(labels)


def select(lists, of_regions, **changes):
    lists = [(labels, torch.tensor(scores)) for labels, scores in lists]
    return inference.select(lists, of_regions, first_column, disks_and_squares.detection(**changes))


APART = boxes([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10])


def test_lists_are_cut_separately_and_joined():
    seen, unseen = [[0.9, 0.8], [0.7, 0.6], [0.5, 0.4]], [[0.3], [0.2], [0.1]]
    selection = select([(range(1, 3), seen), (range(3, 4), unseen)], APART, detections=2)
    assert selection.labels.tolist() == [1, 2, 3, 3]
    assert selection.regions.tolist() == [0, 0, 0, 1]
    assert selection.scores.tolist() == pytest.approx([0.9, 0.8, 0.3, 0.2])


def test_suppression_is_within_a_class_and_a_list():
    close = boxes([0, 0, 10, 10], [1, 0, 11, 10])
    # Both regions are likely of both classes, and a region is kept as a seen and as an unseen class.
    selection = select([(range(1, 3), [[0.9, 0.5], [0.8, 0.6]]), (range(3, 4), [[0.4], [0.3]])], close)
    assert list(zip(selection.regions.tolist(), selection.labels.tolist(), strict=True)) == [(0, 1), (1, 2), (0, 3)]


def test_scores_must_exceed_the_threshold_and_boxes_must_have_an_area():
    flat = boxes([0, 0, 10, 10], [20, 0, 30, 0], [40, 0, 50, 10])
    selection = select([(range(1, 2), [[0.05], [0.9], [0.0625]])], flat)
    assert selection.regions.tolist() == [2]


def test_nothing_is_found_where_no_score_is_high(detector):
    found = inference.detect(
        detector,
        inference.regions(detector, image()),
        ALL,
        disks_and_squares.detection(score_threshold=1.0),
    )
    for one in found:
        assert len(one.labels) == 0 and one.masks.shape == (0, 28, 28) and one.boxes.shape == (0, 4)
        assert list(one.pasted_masks(0.5)) == []
        assert coco_results.entries(one, 3, disks_and_squares.CLASSES, 0.5) == []


def test_an_image_without_a_region_has_no_instance(detector):
    regions = inference.regions(detector, image())
    nothing = inference.Regions(
        regions.boxes[:0], regions.features[:0], regions.resized, regions.size, regions.mask_features
    )
    assert all(len(one.labels) == 0 for one in inference.detect(detector, nothing, ALL, disks_and_squares.detection()))


@pytest.mark.parametrize("size", [(1, 1), (7, 48), (60, 35)])
def test_boxes_and_masks_are_in_pixels_of_the_image(detector, size):
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, *size), dtype=np.uint8))
    options = disks_and_squares.detection(score_threshold=0.0, detections=5)
    (found,) = inference.detect(detector, inference.regions(detector, pixels), [("direct", "gzsi")], options)
    assert len(found.labels) == 10
    assert (found.boxes >= 0).all() and (found.boxes[:, 2:] <= torch.tensor([size[1], size[0]]) + 1e-4).all()
    masks = list(found.pasted_masks(0.5))
    assert {mask.shape for mask in masks} == {size} and {mask.dtype for mask in masks} == {np.dtype(bool)}


def test_variants_together_are_what_they_are_alone(detector):
    regions, options = inference.regions(detector, image()), disks_and_squares.detection(detections=7)
    together = inference.detect(detector, regions, ALL, options)
    for variant, expected in zip(ALL, together, strict=True):
        (alone,) = inference.detect(detector, regions, [variant], options)
        assert torch.equal(alone.labels, expected.labels) and torch.equal(alone.boxes, expected.boxes)
        torch.testing.assert_close(alone.masks, expected.masks)
        assert set(alone.labels.tolist()) <= set(range(7, 9) if variant[1] == "zsi" else range(1, 9))


def test_boxes_and_masks_follow_the_regressor_of_the_label(detector):
    """Region by region, with a mask computed for each detection alone."""
    regions, options = inference.regions(detector, image()), disks_and_squares.detection(detections=6)
    (found,) = inference.detect(detector, regions, [("direct", "gzsi")], options)
    head = detector.box_head
    deltas = head.deltas(regions.features)
    coder = detector.matching.box_coder
    for box, label, mask in zip(found.boxes, found.labels.tolist(), found.masks, strict=True):
        column = {"agnostic": 0, "official": label if label <= 6 else label - 6}[head.regression]
        candidates = coder.decode(deltas[:, column].detach(), [regions.boxes])[:, 0].clamp(0, 48)
        nearest = (candidates - box).abs().sum(dim=1).argmin()
        torch.testing.assert_close(candidates[nearest], box)
        with torch.no_grad():
            maps = detector.mask_head.maps(regions.mask_features(nearest[None], box[None]))[0]
        logits = (detector.mask_head.vectors[label][:, None, None] * maps).sum(dim=0)
        torch.testing.assert_close(logits.sigmoid(), mask, rtol=1e-3, atol=1e-4)


def test_cached_regions_need_no_image(detector):
    regions = inference.regions(detector, image())
    pooled = regions.mask_features(torch.arange(len(regions.boxes)), regions.boxes)
    cached = inference.Regions(
        regions.boxes.clone(),
        regions.features.clone(),
        regions.resized,
        regions.size,
        lambda index, chosen: pooled[torch.cdist(chosen, regions.boxes).argmin(dim=1)],
    )
    options = disks_and_squares.detection()
    one, other = (inference.detect(detector, of, [("mix", "gzsi")], options)[0] for of in (regions, cached))
    assert torch.equal(one.boxes, other.boxes) and one.masks.shape == other.masks.shape


def test_entries_have_category_ids_widths_and_run_lengths():
    mask = torch.zeros(1, 28, 28)
    mask[:, :14] = 1.0
    found = inference.Detections(
        torch.tensor([[2.0, 4.0, 12.0, 24.0]]), torch.tensor([7]), torch.tensor([0.25]), mask, (30, 20)
    )
    (entry,) = coco_results.entries(found, 5, disks_and_squares.CLASSES, 0.5)
    assert entry["image_id"] == 5 and entry["category_id"] == disks_and_squares.CLASSES.category_ids[7]
    assert entry["bbox"] == [2.0, 4.0, 10.0, 20.0] and entry["score"] == 0.25
    decoded = pycocotools.mask.decode(entry["segmentation"])
    rows, columns = np.nonzero(decoded)
    assert decoded.shape == (30, 20)
    # The upper half of the box; pasting interpolates, so an edge may be off by a pixel.
    assert abs(columns.min() - 2) <= 1 and abs(columns.max() - 12) <= 1
    assert abs(rows.min() - 4) <= 1 and abs(rows.max() - 14) <= 1
