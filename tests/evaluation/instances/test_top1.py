import random

import numpy as np
import pytest

from tests.support import instance_world as world
from zeroshot.evaluation.instances import top1

BOX = (4, 4, 10, 10)
RING = world.instance(1, world.RING, BOX)
RING_ID, CROSS_ID = world.CLASSES.category_ids[world.RING], world.CLASSES.category_ids[world.CROSS]


def summarise(instances, detected, labels=world.CLASSES.unseen):
    found = top1.find(instances, detected, {one.image for one in instances})
    return top1.summarise(found, labels, world.CLASSES.category_ids)


def test_the_surest_detection_names_the_object():
    detected = [
        world.detection(1, world.RING, BOX, 0.5),
        world.detection(1, world.CROSS, (4, 4, 10, 8), 0.8),
        world.detection(1, world.RING, (4, 9, 10, 10), 0.9),  # Its IoU is 1/3.
        world.detection(2, world.RING, BOX, 0.9),
    ]
    (found,) = top1.find([RING], detected, [1])
    assert found.category == CROSS_ID and found.mask_iou == pytest.approx(0.8)
    assert summarise([RING], detected) == {"objects": 1, "localised": 100, "top1": 0, "mask_iou": pytest.approx(80)}


def test_shares_are_those_of_all_objects_of_the_role():
    instances = [
        RING,
        world.instance(1, world.CROSS, (20, 4, 10, 10)),
        world.instance(2, world.RING, BOX),
        world.instance(2, world.DISK, (20, 4, 10, 10)),
        world.instance(2, world.RING, (30, 20, 9, 9), crowd=True),
    ]
    detected = [
        world.detection(1, world.RING, BOX, 0.9, mask=(4, 4, 10, 5)),
        world.detection(1, world.RING, (20, 4, 10, 10), 0.9),
        world.detection(2, world.DISK, (20, 4, 10, 10), 0.4),
    ]
    assert summarise(instances, detected) == {
        "objects": 3,
        "localised": pytest.approx(200 / 3),
        "top1": pytest.approx(100 / 3),
        "mask_iou": pytest.approx(75),
    }
    assert summarise(instances, detected, world.CLASSES.seen) == {
        "objects": 1, "localised": 100, "top1": 100, "mask_iou": pytest.approx(100),
    }  # fmt: skip


def test_nothing_found_and_nothing_to_find():
    assert summarise([RING], []) == {"objects": 1, "localised": 0, "top1": 0, "mask_iou": None}
    assert summarise([RING], [world.detection(1, world.RING, BOX, 1)], ()) == {
        "objects": 0, "localised": None, "top1": None, "mask_iou": None,
    }  # fmt: skip
    assert np.isnan(top1.find([RING], [], [1])[0].mask_iou) and top1.find([RING], [], []) == []


def test_equally_sure_detections_have_one_order():
    """The better box wins; of equal boxes the order in the file must not decide."""
    detected = [
        world.detection(1, world.RING, (4, 4, 10, 9), 0.5),
        world.detection(1, world.CROSS, BOX, 0.5),
        world.detection(1, world.CROSS, BOX, 0.5, mask=(4, 4, 3, 3)),
    ]
    results = set()
    for seed in range(6):
        random.Random(seed).shuffle(detected)
        (found,) = top1.find([RING], detected, [1])
        assert found.category == CROSS_ID
        results.add(found.mask_iou)
    assert len(results) == 1
