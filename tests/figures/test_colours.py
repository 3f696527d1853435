import numpy as np
import pytest

from zeroshot.figures import colours, overlays
from zeroshot.images import label_ids


def closest_pair(palette):
    """Return the distance between the two colours that are most alike to any reader."""
    apart = colours.distances(palette, palette)
    return apart[~np.eye(len(palette), dtype=bool)].min()


@pytest.mark.parametrize(("n", "least"), [(8, 13.9), (21, 12.0), (36, 8.0), (60, 6.0)])
def test_colours_differ_to_every_reader(n, least):
    """VOC's 21 colours are the counter-example: two of them look the same to a reader with protanopia."""
    assert closest_pair(colours.colours(n)) >= least > 2 * closest_pair(label_ids.palette()[:n])


def test_vocs_colours_do_not_differ_to_every_reader():
    assert closest_pair(label_ids.palette()[:21]) < 1


def test_further_colours_differ_from_the_grey_of_the_background():
    grey = np.full((1, 3), overlays.MID_GREY, np.uint8)
    assert colours.distances(colours.colours(36)[1:], grey).min() > 7


def test_the_colour_of_a_label_id_does_not_depend_on_how_many_there_are():
    few, many = colours.colours(21), colours.colours(2 * colours.MAX_COLOURS + 1)
    np.testing.assert_array_equal(many[:21], few)
    np.testing.assert_array_equal(many[:8], colours.OKABE_ITO)
    assert few.dtype == np.uint8 and many.shape == (2 * colours.MAX_COLOURS + 1, 3)
    np.testing.assert_array_equal(many[colours.MAX_COLOURS : -1], many[: colours.MAX_COLOURS])
    assert len(np.unique(many, axis=0)) == colours.MAX_COLOURS


def test_red_and_green_of_one_lightness_look_alike_without_green_cones():
    red, green = np.array([[[180, 60, 60]], [[100, 110, 60]]], np.uint8)
    apart = {
        vision: np.abs(colours.seen_by(red, vision) - colours.seen_by(green, vision)).max()
        for vision in colours.VISIONS
    }
    assert apart["deuteranomaly"] < 0.5 * apart[None]


def test_the_palette_of_all_label_ids_has_the_colour_of_each_class_and_of_ignored_pixels():
    palette = colours.label_palette()
    assert palette.shape == (label_ids.N_IDS, 3)
    np.testing.assert_array_equal(palette[:300], colours.colours(300))
    np.testing.assert_array_equal(palette[label_ids.IGNORE_INDEX], label_ids.palette()[label_ids.IGNORE_INDEX])
