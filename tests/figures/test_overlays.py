import numpy as np
import pytest

from zeroshot.figures import overlays
from zeroshot.images import label_ids

PALETTE = np.array([[0, 0, 0], [250, 0, 0], [0, 200, 100]], np.uint8)


def test_classes_are_tinted_and_the_background_is_not():
    image = np.full((2, 3, 3), 100, np.uint8)
    labels = np.array([[0, 1, 2], [0, 0, label_ids.IGNORE_INDEX]], np.uint16)
    picture = overlays.tinted(image, labels, PALETTE)
    light = round(overlays.DARKEST + 100 * (255 - overlays.DARKEST) / 255)
    assert (picture[[0, 1, 1], [0, 0, 1]] == light).all() and (picture[1, 2] == overlays.IGNORED).all()
    for label, pixel in ((1, picture[0, 1]), (2, picture[0, 2])):
        np.testing.assert_allclose(pixel, overlays.TINT * PALETTE[label] + (1 - overlays.TINT) * light, atol=0.5)


def test_the_photograph_is_resized_to_the_label_map():
    assert overlays.tinted(np.zeros((8, 12, 3), np.uint8), np.ones((2, 3), np.uint16), PALETTE).shape == (2, 3, 3)


@pytest.mark.parametrize("seed", range(3))
def test_contours_are_the_edges_between_different_pixels(seed):
    labels = np.random.default_rng(seed).integers(0, 3, (6, 5)).astype(np.uint16)
    expected = set()
    for y, x in np.ndindex(labels.shape):
        if x + 1 < 5 and labels[y, x] != labels[y, x + 1]:
            expected.add((x + 0.5, y - 0.5, x + 0.5, y + 0.5))
        if y + 1 < 6 and labels[y, x] != labels[y + 1, x]:
            expected.add((x - 0.5, y + 0.5, x + 0.5, y + 0.5))
    unit_edges = set()
    for (x0, y0), (x1, y1) in overlays.contours(labels).tolist():
        for step in range(round(x1 - x0 + y1 - y0)):
            x, y = (x0 + step, y0) if x1 > x0 else (x0, y0 + step)
            unit_edges.add((x, y, x + (x1 > x0), y + (y1 > y0)))
    assert unit_edges == expected


def test_a_straight_border_is_one_line():
    np.testing.assert_array_equal(overlays.contours(np.repeat([[1, 2]], 4, axis=0)), [[[0.5, -0.5], [0.5, 3.5]]])
    assert overlays.contours(np.ones((3, 3), int)).shape == (0, 2, 2)
