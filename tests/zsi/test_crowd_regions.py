"""Crowd regions teach no background: not to the proposal network, not to the heads, not in the cache."""

import numpy as np
import torch
from torchvision.ops import boxes as box_ops

from tests.support import disks_and_squares
from zeroshot.base import params
from zeroshot.zsi import crowd_regions, sections
from zeroshot.zsi.regions import training_regions

WHOLE = torch.tensor([[0.0, 0, 48, 48]])


def test_a_box_shows_a_crowd_from_a_half_of_its_own_area():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [90, 90, 95, 95], [0, 0, 100, 100]])
    crowd = torch.tensor([[0.0, 0, 10, 5], [80, 80, 100, 100]])
    # Half, a little less, all, and a large box around both.
    assert crowd_regions.may_show(boxes, crowd).tolist() == [True, False, True, False]
    assert crowd_regions.may_show(boxes, torch.zeros(0, 4)).tolist() == [False] * 4


def test_a_box_beside_a_crowd_in_both_directions_shows_nothing_of_it():
    # Both sides of the common rectangle would be negative, and their product positive.
    assert crowd_regions.may_show(torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([[50.0, 50, 60, 60]])).tolist() == [
        False
    ]


def test_proposals_in_a_crowd_leave_unless_they_show_an_object():
    proposals = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [60, 60, 70, 70]])
    target = {"boxes": torch.tensor([[21.0, 20, 30, 30]]), "crowd": torch.tensor([[0.0, 0, 40, 40]])}
    nothing = {"boxes": torch.zeros(0, 4), "crowd": torch.zeros(0, 4)}
    kept = crowd_regions.without_crowds([proposals, proposals], [target, nothing], 0.5)
    assert [of_image.tolist() for of_image in kept] == [proposals[1:].tolist(), proposals.tolist()]


def anchor_labels(target):
    detector = disks_and_squares.new_detector()
    images, _ = disks_and_squares.batch(1)
    batch, _ = detector.transform([images[0] / 255], None)
    anchors = detector.rpn.anchor_generator(batch, list(detector.maps(batch.tensors).values()))
    labels, _ = detector.rpn.assign_targets_to_anchors(anchors, [target])
    return labels[0], anchors[0]


def test_anchors_in_a_crowd_are_no_background_and_objects_there_stay_objects():
    (target,) = disks_and_squares.batch(1)[1]
    plain, anchors = anchor_labels(target)
    crowded, _ = anchor_labels(target | {"crowd": torch.tensor([[0.0, 0, 24, 48]])})
    inside = crowd_regions.may_show(anchors, torch.tensor([[0.0, 0, 24, 48]]))
    assert (plain == 1).any() and (plain[inside] == 0).any()
    assert torch.equal(crowded == 1, plain == 1) and not (crowded[inside] == 0).any()
    assert torch.equal(crowded[~inside], plain[~inside])


def test_a_crowd_is_resized_with_its_image_and_gives_finite_losses():
    detector = disks_and_squares.new_detector(min_side=24, max_side=32)
    images, targets = disks_and_squares.batch(2)
    given = [target | {"crowd": WHOLE} for target in targets]
    seen, sampled = [], []
    assign, sample = detector.rpn.assign_targets_to_anchors, detector.matching.select_training_samples

    def watched(anchors, resized):
        seen.extend(target["crowd"].tolist() for target in resized)
        return assign(anchors, resized)

    def watched_samples(proposals, resized):
        sampled.extend(zip(proposals, resized, strict=True))
        return sample(proposals, resized)

    detector.rpn.assign_targets_to_anchors = watched
    detector.matching.select_training_samples = watched_samples
    losses = detector.train().losses(images, given)
    assert seen == [[[0, 0, 24, 24]]] * 2
    assert all(np.isfinite(loss.item()) for loss in losses.values())
    # The crowd covers the images, so proposals are left on objects alone.
    assert len(sampled) == 2
    for proposals, target in sampled:
        assert (box_ops.box_iou(proposals, target["boxes"]).amax(dim=1) >= 0.5).all()


def test_background_regions_of_the_cache_are_outside_of_crowds():
    detector = disks_and_squares.new_detector().eval()
    (image,), (target,) = disks_and_squares.batch(1)
    section = {"object_iou": 0.5, "background_iou": 0.3, "background_per_image": 50, "evaluation_per_image": 20}
    options = params.build(section | {"seed": 0, "shard_mib": 1}, sections.Regions, "regions")
    plain = training_regions.of_image(detector, image, target, 0, options)
    crowded = training_regions.of_image(detector, image, target | {"crowd": WHOLE}, 0, options)
    assert (plain["label"] == 0).any() and not (crowded["label"] == 0).any()
    assert (crowded["label"] > 0).sum() == (plain["label"] > 0).sum()
