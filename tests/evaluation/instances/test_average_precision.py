import dataclasses
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support import instance_world as world
from zeroshot.evaluation.instances import average_precision, intervals

CATEGORIES = {label: world.CLASSES.category_ids[label] for label in (1, 2, 3, 4)}


def evaluate(instances, detected, images=(1, 2, 3), regions="bbox", categories=CATEGORIES):
    return average_precision.evaluate(instances, detected, images, categories, regions)


def overlap(one, other, crowd):
    """IoU of two rectangles [x, y, w, h]; of a crowd region, the share of the detection `one` inside of it."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (one[2] * one[3] if crowd else one[2] * one[3] + other[2] * other[3] - shared)


def independent(instances, detected, images, label, min_iou):
    """AP and recall of one class in a few lines: greedy matches image by image, precision at 101 recalls."""
    outcomes, n_objects = [], 0
    for image in images:
        objects = [one for one in instances if (one.image, one.label) == (image, label)]
        n_objects += sum(not one.crowd for one in objects)
        free = [one for one in objects if not one.crowd]
        mine = [one for one in detected if (one["image_id"], one["category_id"]) == (image, CATEGORIES[label])]
        for one in sorted(mine, key=lambda one: -one["score"])[:100]:
            best = max(free, key=lambda other: overlap(one["bbox"], other.box, False), default=None)
            if best and overlap(one["bbox"], best.box, False) >= min_iou:
                free.remove(best)
                outcomes.append((one["score"], True))
            elif not any(one_.crowd and overlap(one["bbox"], one_.box, True) >= min_iou for one_ in objects):
                outcomes.append((one["score"], False))
    if not n_objects:
        return None
    right = np.cumsum([hit for _, hit in sorted(outcomes, key=lambda pair: -pair[0])])
    points = [(hits / n_objects, hits / rank) for rank, hits in enumerate(right, start=1)]
    levels = [
        max((precision for recall, precision in points if recall >= level), default=0)
        for level in np.linspace(0, 1, 101)
    ]
    return np.mean(levels), (right[-1] if len(right) else 0) / n_objects


boxes = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 8), st.integers(1, 8))
objects = st.builds(world.instance, st.integers(1, 3), st.integers(1, 4), boxes, st.booleans())


@st.composite
def cases(draw):
    """Up to ten objects, and up to twelve detections: random ones and shifted objects, with scores all different."""
    instances = draw(st.lists(objects, max_size=10))
    placed = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), boxes), max_size=6))
    if instances:
        for one in draw(st.lists(st.sampled_from(instances), max_size=6)):
            x, y, width, height = map(int, one.box)
            placed.append((one.image, one.label, (x + draw(st.integers(0, 1)), y, width, height)))
    scores = draw(st.permutations(range(len(placed))))
    detected = [world.detection(*one, 0.05 + score / 100) for one, score in zip(placed, scores, strict=True)]
    return instances, detected


@settings(max_examples=100, deadline=None)
@given(cases())
def test_ap_and_recall_are_those_of_a_few_lines(case):
    """A detection with the same IoU with two objects is left out, because either may be matched."""
    instances, detected = case
    for one in detected:
        same = [
            other
            for other in instances
            if (other.image, CATEGORIES[other.label]) == (one["image_id"], one["category_id"])
        ]
        ious = [overlap(one["bbox"], other.box, False) for other in same if not other.crowd]
        assume(len([iou for iou in ious if iou >= 0.4]) == len({iou for iou in ious if iou >= 0.4}))
    for regions in ("bbox", "segm"):
        result = evaluate(instances, detected, regions=regions)
        for label, scores in result.items():
            for iou in (0.4, 0.5, 0.75):
                expected = independent(instances, detected, (1, 2, 3), label, iou)
                if expected is None:
                    assert scores.objects == 0 and np.isnan([scores.ap(iou), scores.recall_at(iou)]).all()
                else:
                    assert (scores.ap(iou), scores.recall_at(iou)) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(cases(), st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_resampled_ap_is_that_of_the_images_written_out(case, counts):
    """A set of images with repetitions has the AP of COCOeval on copies of the images."""
    instances, detected = case
    copies, copied = [], []
    for image, number in zip((1, 2, 3), counts, strict=True):
        for id in range(image, image + 10 * number, 10):
            copies += [dataclasses.replace(one, image=id) for one in instances if one.image == image]
            copied += [{**one, "image_id": id} for one in detected if one["image_id"] == image]
    images = [image + 10 * copy for image, number in zip((1, 2, 3), counts, strict=True) for copy in range(number)]
    expected = evaluate(copies, copied, images)
    for label, scores in evaluate(instances, detected).items():
        ap = intervals.resampled_ap(scores.matches, np.array([counts, [1, 1, 1]]))
        np.testing.assert_allclose(ap, [expected[label].ap(0.5), scores.ap(0.5)])


def test_known_precision_and_recall():
    """Two objects, found by the first and third of three detections: precision 1 up to recall 0.5, then 2/3."""
    instances = [world.instance(1, world.RING, (0, 0, 10, 10)), world.instance(2, world.RING, (0, 0, 10, 10))]
    detected = [
        world.detection(1, world.RING, (0, 0, 10, 10), 0.9),
        world.detection(1, world.RING, (20, 20, 10, 10), 0.8),
        world.detection(2, world.RING, (0, 0, 10, 7), 0.7),
    ]
    scores = evaluate(instances, detected)[world.RING]
    assert scores.objects == 2 and scores.ap(0.5) == pytest.approx((51 + 50 * 2 / 3) / 101)
    # The third has an IoU of 0.7.
    assert [scores.recall_at(iou) for iou in (0.4, 0.5, 0.7, 0.75)] == [1, 1, 1, 0.5]
    assert scores.ap(0.75) == pytest.approx(51 / 101)
    assert scores.coco_ap == pytest.approx((5 * (51 + 50 * 2 / 3) + 5 * 51) / 1010)


def test_masks_and_boxes_are_scored_apart():
    instances = [world.instance(1, world.BOX, (0, 0, 10, 10))]
    detected = [world.detection(1, world.BOX, (0, 0, 10, 10), 0.9, mask=(0, 0, 10, 3))]
    assert evaluate(instances, detected)[world.BOX].ap(0.5) == pytest.approx(1)
    assert evaluate(instances, detected, regions="segm")[world.BOX].ap(0.5) == 0


@pytest.mark.parametrize(
    ("change", "ap", "recall"),
    [
        ("perfect", 1, 1),
        ("shifted", 0, 0),
        ("mislabelled", 0, 0),
        ("double", 1, 1),
        ("double, the surer one beside", 1 / 2, 1),
        ("none", 0, 0),
    ],
)
def test_hand_made_detections(change, ap, recall):
    box = (4, 4, 10, 10)
    detected = {
        "perfect": [world.detection(1, world.DISK, box, 0.9)],
        "shifted": [world.detection(1, world.DISK, (10, 4, 10, 10), 0.9)],
        "mislabelled": [world.detection(1, world.BOX, box, 0.9)],
        "double": [world.detection(1, world.DISK, box, score) for score in (0.9, 0.8)],
        "double, the surer one beside": [
            world.detection(1, world.DISK, *one) for one in (((20, 4, 9, 9), 0.9), (box, 0.8))
        ],
        "none": [],
    }[change]
    scores = evaluate([world.instance(1, world.DISK, box)], detected)
    assert (scores[world.DISK].ap(0.5), scores[world.DISK].recall_at(0.5)) == pytest.approx((ap, recall))
    assert all(scores[label].objects == 0 and np.isnan(scores[label].ap(0.5)) for label in (world.BOX, world.RING))


def test_detections_in_a_crowd_region_do_not_count():
    instances = [
        world.instance(1, world.RING, (0, 0, 10, 10)),
        world.instance(1, world.RING, (20, 0, 20, 20), crowd=True),
    ]
    detected = [
        *(world.detection(1, world.RING, (22 + shift, 2, 5, 5), 0.95) for shift in range(3)),
        world.detection(1, world.RING, (0, 0, 10, 10), 0.9),
    ]
    for regions in ("bbox", "segm"):
        scores = evaluate(instances, detected, regions=regions)[world.RING]
        assert scores.objects == 1 and scores.ap(0.5) == pytest.approx(1)
    # A region of another class forgives nothing.
    elsewhere = [instances[0], world.instance(1, world.BOX, (20, 0, 20, 20), crowd=True)]
    assert evaluate(elsewhere, detected)[world.RING].ap(0.5) == pytest.approx(1 / 4)


def test_the_order_of_files_and_classes_does_not_matter():
    """Scores are equal, so the order of detections could decide."""
    rng = random.Random(0)
    instances = [
        world.instance(rng.randint(1, 3), rng.randint(1, 4), (rng.randint(0, 9), rng.randint(0, 9), 9, 9))
        for _ in range(20)
    ]
    detected = [
        world.detection(
            one.image, one.label, (int(one.box[0]) + rng.randint(0, 6), int(one.box[1]), 9, 9), rng.choice((0.5, 0.6))
        )
        for one in instances
        for _ in range(3)
    ]
    first = evaluate(instances, detected)
    assert len({scores.ap(0.5) for scores in first.values()}) == 4
    for _ in range(5):
        shuffled = list(CATEGORIES.items())
        for one in (instances, detected, shuffled):
            rng.shuffle(one)
        again = evaluate(instances, detected, (3, 1, 2), categories=dict(shuffled))
        assert list(again) == [label for label, _ in shuffled]
        for label, scores in first.items():
            np.testing.assert_array_equal(scores.precision, again[label].precision)
            np.testing.assert_array_equal(scores.recall, again[label].recall)


def test_labels_and_categories_agree():
    """Sorted by category id, the classes would be in the order 4, 3, 2, 1."""
    instances = [world.instance(1, label, (8 * label, 0, 6, 6)) for label in CATEGORIES for _ in range(label)]
    detected = world.perfect(instances[:1] + [one for one in instances if one.label == world.CROSS][:1])
    scores = evaluate(instances, detected)
    assert {label: one.objects for label, one in scores.items()} == {1: 1, 2: 2, 3: 3, 4: 4}
    assert {label: one.recall_at(0.5) for label, one in scores.items()} == {1: 1, 2: 0, 3: 0, 4: 0.25}


def test_ids_of_annotations_are_not_those_of_the_file():
    """COCOeval takes the id 0 for no match; every object counts, the first one too."""
    instances = [world.instance(1, world.DISK, (0, 0, 6, 6))]
    assert evaluate(instances, world.perfect(instances))[world.DISK].recall_at(0.5) == 1


def test_one_pixel_is_matched_by_its_pixel():
    instances = [world.instance(1, world.RING, (7, 9, 1, 1))]
    for regions in ("bbox", "segm"):
        assert evaluate(instances, world.perfect(instances), regions=regions)[world.RING].ap(0.5) == pytest.approx(1)
        missed = [world.detection(1, world.RING, (8, 9, 1, 1), 0.9)]
        assert evaluate(instances, missed, regions=regions)[world.RING].ap(0.5) == 0


def test_of_an_image_and_class_the_surest_100_count():
    instances = [world.instance(1, world.RING, (0, 0, 10, 10))]
    wrong = [world.detection(1, world.RING, (20, 20, 10, 10), 0.9)] * 99
    last = world.detection(1, world.RING, (0, 0, 10, 10), 0.1)
    assert evaluate(instances, [*wrong, last])[world.RING].recall_at(0.5) == 1
    assert evaluate(instances, [*wrong, wrong[0], last])[world.RING].recall_at(0.5) == 0
    # The limit is that of a class, not of the image.
    others = [world.detection(1, world.DISK, (0, 0, 10, 10), 0.9)] * 100
    assert evaluate(instances, [*wrong, *others, last])[world.RING].recall_at(0.5) == 1


@pytest.mark.parametrize(("images", "categories"), [((), CATEGORIES), ((1, 2), {}), ((), {})])
def test_nothing_to_evaluate(images, categories):
    instances = [world.instance(1, world.RING, (0, 0, 10, 10))]
    scores = evaluate(instances, world.perfect(instances), images, categories=categories)
    assert list(scores) == list(categories) and all(one.objects == 0 for one in scores.values())
    assert all(np.isnan(one.ap(0.5)) for one in scores.values())


def test_nothing_is_printed(capsys):
    instances = [world.instance(1, world.RING, (0, 0, 10, 10))]
    evaluate(instances, world.perfect(instances))
    assert capsys.readouterr() == ("", "")
