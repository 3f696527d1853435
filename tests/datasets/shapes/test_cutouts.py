"""Paper shapes: outlines against other definitions of them, and what painting changes."""

import math

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from zeroshot.datasets.shapes import cutouts

SIZE, CENTRE, RADIUS = 96, (47.3, 49.1), 30.0


def painted(shape, look="yellow", angle=0.0):
    """Return the image and the mask of one shape on grey."""
    canvas = np.full((SIZE, SIZE, 3), 0.4)
    mask = cutouts.paint(canvas, cutouts.cut(np.random.default_rng(0), shape, look, CENTRE, RADIUS, angle))
    return canvas, mask


def polygon(*corners):
    """Return the pixels inside of a polygon, whose corners are in units of the radius, drawn four times as large by Pillow."""
    image = PIL.Image.new("L", (4 * SIZE, 4 * SIZE))
    points = [tuple(4 * (c + RADIUS * v) for c, v in zip(CENTRE, corner, strict=True)) for corner in corners]
    PIL.ImageDraw.Draw(image).polygon(points, fill=1)
    return np.array(image)[2::4, 2::4] > 0


def around(n, radius, start=-math.pi / 2):
    return [(radius * math.cos(a), radius * math.sin(a)) for a in start + 2 * math.pi * np.arange(n) / n]


def test_outlines_are_those_of_polygons_and_circles():
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    away = np.hypot(x - CENTRE[0], y - CENTRE[1]) / RADIUS
    star = [corner for pair in zip(around(5, 1.16), around(5, 0.51, -math.pi * 0.3), strict=True) for corner in pair]
    expected = {
        "disk": away < 0.92,
        "ring": (away > 0.48) & (away < 1.02),
        "square": polygon((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)),
        "cross": polygon((-1.02, -0.33), (1.02, -0.33), (1.02, 0.33), (-1.02, 0.33))
        | polygon((-0.33, -1.02), (0.33, -1.02), (0.33, 1.02), (-0.33, 1.02)),
        "triangle": polygon(*around(3, 1.16, math.pi / 2)),
        "star": polygon(*star),
    }
    assert expected.keys() == cutouts.SHAPES.keys()
    for shape, mask in expected.items():
        found = painted(shape)[1]
        # Corners are rounded a little, and Pillow draws borders.
        assert (found & mask).sum() / (found | mask).sum() > 0.95, shape


def test_turning_by_a_quarter_turns_the_mask():
    y, x = np.mgrid[:SIZE, :SIZE]
    mask = painted("triangle")[1]
    turned = painted("triangle", angle=math.pi / 2)[1]
    # The pixel at (dx, dy) from the centre moves to (-dy, dx).
    columns, rows = np.rint(CENTRE[0] + (y - CENTRE[1])).astype(int), np.rint(CENTRE[1] - (x - CENTRE[0])).astype(int)
    inside = (columns >= 0) & (rows >= 0) & (columns < SIZE) & (rows < SIZE)
    moved = np.zeros_like(mask)
    moved[inside] = mask[rows[inside], columns[inside]]
    assert (moved & turned).sum() / (moved | turned).sum() > 0.9


@pytest.mark.parametrize("look", cutouts.LOOKS)
def test_a_look_has_its_colours_and_the_surroundings_have_only_a_shadow(look):
    canvas, mask = painted("disk", look)
    outside = canvas[~mask]
    assert np.ptp(canvas[:10]) == 0 and (outside.max(axis=1) > 0.1).all()
    n_tones = len(cutouts.LOOKS[look])
    lightness = canvas[mask].mean(axis=1)
    assert n_tones == 1 + (look in ("striped", "dotted"))
    # A print is much lighter or darker than the paper; light and bevel alone change less.
    assert (np.percentile(lightness, 90) / np.percentile(lightness, 10) > 3) == (n_tones == 2)
