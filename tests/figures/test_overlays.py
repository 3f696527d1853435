import numpy as np
import pytest
from matplotlib import figure as mpl_figure
from matplotlib.backends import backend_agg

from tests.support import pixel_world
from zeroshot.figures import colours, overlays
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


@pytest.mark.parametrize("label", [1, 8])
def test_unseen_segments_are_hatched_and_seen_ones_are_not(label):
    """Label 1 has a bright colour and label 8 a dark one, on which the hatch is white."""
    palette = colours.colours(9)
    labels = np.full((20, 20), label, np.uint16)
    n_colours = {}
    for unseen in ((), (label,)):
        figure = mpl_figure.Figure(figsize=(2, 2), dpi=100)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        canvas = backend_agg.FigureCanvasAgg(figure)
        overlays.draw(axes, np.full((20, 20, 3), 128, np.uint8), labels, unseen, palette, "nearest")
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].reshape(-1, 3)
        n_colours[unseen] = len(np.unique(pixels, axis=0))
        luma = pixels @ [0.299, 0.587, 0.114]
        if unseen:
            # In a print without colours, lines are far from the tint.
            assert np.ptp(luma) > 60
            np.testing.assert_array_equal(axes.get_xlim() + axes.get_ylim(), (-0.5, 19.5, 19.5, -0.5))
    assert n_colours[()] == 1 < n_colours[(label,)]


def test_a_legend_tells_unseen_classes_without_colour():
    split, palette = pixel_world.split(), colours.colours(len(pixel_world.CLASSES))
    for label in range(len(pixel_world.CLASSES)):
        entry = overlays.entry(label, split, palette)
        is_unseen = label in pixel_world.UNSEEN
        assert (entry.get_hatch() == overlays.UNSEEN_HATCH) == is_unseen
        assert entry.get_label() == (f"★ {split.classes[label]}" if is_unseen else split.classes[label])
    assert overlays.entry(label_ids.IGNORE_INDEX, split, palette).get_label() == "not scored"
