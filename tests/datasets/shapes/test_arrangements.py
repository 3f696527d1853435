"""Arrangements of paper shapes: classes, independence of images, and visible parts."""

import itertools

import numpy as np

from tests.support import dag, small_shapes
from zeroshot.datasets.shapes import arrangements, cutouts


def test_unseen_classes_are_new_pairs_of_seen_shapes_and_looks_and_no_seen_class_is_between_two():
    classes = arrangements.categories()
    new = [one for one in classes if (one.shape, one.look) in arrangements.NEW_PAIRS]
    seen = [one for one in classes if one not in new]
    assert {one.name for one in new} == set(dag.document(dag.ZSI_PARAMS)["data"]["unseen"])
    assert {one.shape for one in seen} == set(cutouts.SHAPES) and {one.look for one in seen} == set(cutouts.LOOKS)
    for one in seen:
        near = [other for other in new if one.shape == other.shape or one.look == other.look]
        assert len(near) <= 1, one
    for one, other in itertools.combinations(new, 2):
        assert one.shape != other.shape and one.look != other.look
    # With gaps, so that a category id is no label.
    ids = [one.id for one in classes]
    assert ids == sorted(ids) and ids[-1] > len(ids)


def test_an_image_depends_on_its_index_and_not_on_the_number_of_images():
    image, instances = arrangements.draw(small_shapes.settings(), "val", 1)
    again, same = arrangements.draw(small_shapes.settings(n_train=90, n_val=50, sentences=7), "val", 1)
    np.testing.assert_array_equal(image, again)
    assert [one.category for one in instances] == [one.category for one in same]
    assert image.shape == (64, 64, 3) and image.dtype == np.uint8
    for other in (("train", 1, {}), ("val", 2, {}), ("val", 1, {"seed": 4})):
        assert (arrangements.draw(small_shapes.settings(**other[2]), *other[:2])[0] != image).any()


def test_masks_are_visible_parts_that_do_not_overlap_and_most_objects_touch_another():
    settings = small_shapes.settings(max_objects=5, image_size=96, min_diameter=20, max_diameter=44)
    touching, shares, numbers = 0, [], set()
    for index in range(24):
        image, instances = arrangements.draw(settings, "train", index)
        masks = np.stack([one.mask for one in instances])
        assert masks.any(axis=(1, 2)).all() and masks.sum(axis=0).max() == 1
        numbers.add(len(instances))
        grown = [np.pad(mask, 1) for mask in masks]
        grown = [sum(np.roll(mask, move, axis) for axis in (0, 1) for move in (-1, 0, 1)) > 0 for mask in grown]
        touching += any((one & other).any() for one, other in itertools.combinations(grown, 2))
        shares += [mask.sum() / (np.pi * 10**2) for mask in masks]
    assert numbers == {2, 3, 4, 5}
    assert touching >= 16
    # Of the smallest ring, 0.8 of its disk's area is paper, and of that less than half is covered, but for rare crowds.
    assert min(shares) > 0.2


def test_a_visible_pixel_has_the_colour_of_its_object():
    hues = {"red": 0, "green": 1, "blue": 2}
    n = 0
    for index in range(12):
        image, instances = arrangements.draw(small_shapes.settings(image_size=96), "train", index)
        for one in instances:
            if one.category.look in hues:
                n += 1
                assert image[one.mask].mean(axis=0).argmax() == hues[one.category.look]
    assert n > 5
