"""Masks to run lengths of COCO's layout and back."""

import itertools

import numpy as np
import pytest

from zeroshot.datasets import run_lengths

MASKS = {
    "some": np.random.default_rng(0).random((7, 5)) < 0.4,
    "row": np.array([[False, True, True, False]]),
    "first pixel": np.eye(3, dtype=bool),
    "none": np.zeros((4, 6), bool),
    "all": np.ones((4, 6), bool),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_mask_becomes_its_runs_down_the_columns_and_comes_back(mask):
    runs = run_lengths.encode(mask)
    assert runs["size"] == list(mask.shape)
    expected = [(inside, len(list(group))) for inside, group in itertools.groupby(mask.T.ravel().tolist())]
    if expected[0][0]:
        expected.insert(0, (False, 0))
    counts = run_lengths.count({"size": mask.shape, "counts": runs["counts"]}, mask.shape)
    assert list(counts) == [length for _, length in expected]
    decoded = run_lengths.decode(runs)
    assert decoded.dtype == bool
    np.testing.assert_array_equal(decoded, mask)


def test_an_annotation_has_the_box_around_the_pixels_and_their_number():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 5:25] = mask[12, 31] = True
    assert run_lengths.annotation(mask, 17) == {
        "category_id": 17,
        "bbox": [5, 10, 27, 20],
        "area": 401,
        "iscrowd": 0,
        "segmentation": run_lengths.encode(mask),
    }
