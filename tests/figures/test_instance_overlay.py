"""The picture of a photograph with its instances."""

import numpy as np
import pytest
from matplotlib import axes as mpl_axes

from tests.support import instance_world as world
from zeroshot.figures import instance_overlay, overlays

DETECTED = [world.detection(1, world.RING, (10, 10, 20, 12), 0.9), world.detection(1, world.BOX, (30, 5, 12, 13), 0.4)]


def texts_of(monkeypatch, *arguments):
    """Return the picture, and the texts written at boxes."""
    written, write = [], mpl_axes.Axes.text
    monkeypatch.setattr(
        mpl_axes.Axes,
        "text",
        lambda self, x, y, text, **style: (written.append(text), write(self, x, y, text, **style))[1],
    )
    return instance_overlay.overlay(*arguments), written


def test_instances_have_names_and_scores_and_colour_inside_of_their_masks(monkeypatch):
    image = np.full((*world.SIZE, 3), (200, 30, 30), np.uint8)
    picture, names = texts_of(monkeypatch, image, DETECTED, world.CLASSES)
    assert names == [f"{overlays.STAR} ring 0.90", "box 0.40"]
    scale = instance_overlay.SIDES[0] / world.SIZE[1]

    def at(x, y):
        return picture[round(scale * y), round(scale * x)].tolist()

    # The middle of each mask, and a place that no mask has.
    assert at(20, 16) == at(36, 12) == [200, 30, 30]
    assert len(set(at(45, 35))) == 1


def test_nothing_found_is_a_grey_photograph():
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    picture = instance_overlay.overlay(image, [], world.CLASSES)
    assert (picture == picture[..., :1]).all() and picture.shape[1] == instance_overlay.SIDES[0]


@pytest.mark.parametrize(
    ("size", "expected"), [((40, 50), (640, 800)), ((900, 300), (900, 300)), ((6000, 3000), (2400, 1200))]
)
def test_the_longer_side_has_limits(size, expected):
    detected = [
        {**world.detection(1, world.DISK, (9, 9, 20, 20), 0.5), "segmentation": world.rectangle((9, 9, 20, 20), size)}
    ]
    picture = instance_overlay.overlay(np.zeros((*size, 3), np.uint8), detected, world.CLASSES)
    # Below the photograph is a line of text, or two where it is narrow.
    assert picture.shape[1] == expected[1] and 0 < picture.shape[0] - expected[0] < 0.1 * max(expected)


def test_instances_of_a_large_photograph_keep_their_places():
    image = np.full((3000, 3600, 3), (30, 200, 30), np.uint8)
    box = (600, 900, 1200, 600)
    one = {**world.detection(1, world.DISK, box, 0.5), "segmentation": world.rectangle(box, (3000, 3600))}
    picture = instance_overlay.overlay(image, [one], world.CLASSES)
    inside = np.flatnonzero((picture[800] == (30, 200, 30)).all(axis=1))
    assert inside.min() == pytest.approx(400, abs=10) and inside.max() == pytest.approx(1200, abs=10)
