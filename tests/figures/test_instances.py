import numpy as np
import pytest
from matplotlib import patches
from matplotlib.backends import backend_agg

from tests.support import instance_world as world
from zeroshot.evaluation.instances import instance_metrics
from zeroshot.figures import instance_shapes, instances, overlays

CLASSES = world.CLASSES
INSTANCES = [
    world.instance(1, world.DISK, (0, 0, 30, 30)),
    world.instance(1, world.RING, (10, 10, 12, 12)),
    world.instance(1, world.BOX, (32, 5, 12, 13)),
    world.instance(1, world.CROSS, (30, 25, 12, 12), crowd=True),
    world.instance(2, world.BOX, (0, 0, 9, 9)),
]
TRUTH = world.make_truth(INSTANCES, images=(1, 2, 3))
ROLES = instance_metrics.roles(CLASSES, "gzsi")
IMAGE = np.random.default_rng(0).integers(0, 255, (*world.SIZE, 3)).astype(np.uint8)


def panel(detected, roles=ROLES, image=1, most=10):
    return instances.detected_panel("direct", image, TRUTH, detected, CLASSES, roles, most)


def test_label_maps_have_small_instances_on_top_and_no_crowd_regions():
    maps = dict(instances.label_maps(TRUTH))
    assert list(maps) == ["1", "2", "3"] and not maps["3"].any()
    expected = np.zeros(world.SIZE, int)
    expected[:30, :30], expected[10:22, 10:22], expected[5:18, 32:44] = world.DISK, world.RING, world.BOX
    np.testing.assert_array_equal(maps["1"], expected)


def test_the_truth_has_the_objects_of_the_classes_that_count():
    shown = instances.true_panel(1, TRUTH, [*CLASSES.seen, *CLASSES.unseen])
    assert [shape.label for shape in shown.shapes] == [
        world.DISK,
        world.BOX,
        world.RING,
    ] and shown.caption == "3 objects"
    assert instances.true_panel(1, TRUTH, CLASSES.unseen).caption == "1 object"


def test_the_surest_detections_are_drawn_one_at_each_place():
    detected = [
        world.detection(1, world.BOX, (10, 10, 12, 12), 0.4),
        world.detection(1, world.RING, (10, 10, 12, 11), 0.6),
        world.detection(1, world.CROSS, (32, 5, 12, 12), 0.9),
        world.detection(1, world.DISK, (2, 26, 9, 9), 0.5),
        world.detection(1, world.DISK, (40, 26, 9, 9), 0.3),  # A fourth place, and there are three objects.
        world.detection(2, world.BOX, (0, 0, 9, 9), 0.99),
    ]
    shown = panel(detected)
    assert [(shape.label, shape.score) for shape in shown.shapes] == [
        (world.CROSS, 0.9), (world.RING, 0.6), (world.DISK, 0.5),
    ]  # fmt: skip
    # The surest detection at the box is a cross, and at the disk there is none.
    assert shown.caption == "seen 0 of 2, unseen 1 of 1"
    assert [shape.score for shape in panel(detected[::-1], most=1).shapes] == [0.9]


def test_captions_of_groups_without_objects():
    assert panel([], image=2).caption == "seen 0 of 1, unseen -"
    shown = panel(world.perfect(INSTANCES), image=3)
    assert shown.caption == "seen -, unseen -" and not shown.shapes
    assert panel([], instance_metrics.roles(CLASSES, "zsi")).caption == "unseen 0 of 1"


def drawn(panels, image=IMAGE, most=10):
    figure = instances.draw(image, "1.jpg", panels, CLASSES, most, 240)
    backend_agg.FigureCanvasAgg(figure).draw()
    return figure


def names(axes):
    return [text.get_text() for text in axes.texts]


def test_unseen_classes_are_dashed_bold_and_starred():
    figure = drawn([instances.true_panel(1, TRUTH, [*CLASSES.seen, *CLASSES.unseen]), panel(world.perfect(INSTANCES))])
    truth_axes, found_axes = figure.axes[1:]
    assert names(truth_axes) == ["disk", "box", f"{overlays.STAR} ring"]
    assert sorted(names(found_axes)) == ["box 0.90", "disk 0.90", f"{overlays.STAR} ring 0.90"]
    assert [text.get_fontweight() for text in truth_axes.texts] == ["normal", "normal", "bold"]
    for axes in (truth_axes, found_axes):
        lines = [one for one in axes.patches if isinstance(one, patches.Rectangle)]
        dashed = [one for one in lines if one.get_linestyle() not in ("solid", "-")]
        # A box and the frame of a name for each of three instances.
        assert len(lines) == 6 and len(dashed) == 2


def test_masks_keep_their_colours_and_the_rest_is_grey():
    figure = drawn([instances.true_panel(1, TRUTH, CLASSES.unseen)])
    shown = figure.axes[1].images[0].get_array()
    inside = np.zeros(world.SIZE, bool)
    inside[10:22, 10:22] = True
    np.testing.assert_array_equal(shown[inside], IMAGE[inside])
    assert (shown[~inside] == shown[~inside][:, :1]).all()


@pytest.mark.parametrize("size", [(96, 96), (375, 500), (500, 375)])
def test_names_are_inside_of_their_panel_and_do_not_overlap(size):
    """Ten objects lie nearly on each other."""
    image = np.zeros((*size, 3), np.uint8)
    mask = world.rectangle((40, 40, 20, 20), size)
    shapes = [instance_shapes.Shape(1 + number % 4, (40 + number, 40, 20, 20), mask, 0.5) for number in range(10)]
    figure = drawn([instances.Panel("direct", "", shapes)], image)
    axes = figure.axes[1]
    frame = axes.get_window_extent()
    extents = [text.get_window_extent() for text in axes.texts]
    assert len(extents) == 10
    for number, one in enumerate(extents):
        assert frame.x0 <= one.x0 and one.x1 <= frame.x1 and frame.y0 <= one.y0 and one.y1 <= frame.y1
        assert not any(one.overlaps(other) for other in extents[:number])


def test_only_the_first_instances_have_names():
    shown = panel(world.perfect(INSTANCES))
    assert len(names(drawn([shown], most=2).axes[1])) == 2


@pytest.mark.parametrize(("n_panels", "n_rows"), [(1, 1), (2, 1), (3, 2), (5, 2), (6, 3)])
def test_rows_have_at_most_three_panels(n_panels, n_rows):
    figure = drawn([instances.Panel("direct", "", ())] * n_panels)
    tops = {round(axes.get_position().y1, 6) for axes in figure.axes}
    assert len(figure.axes) == n_panels + 1 and len(tops) == n_rows
    assert figure.get_size_inches()[0] < 7


def test_long_captions_are_cut():
    figure = instances.draw(IMAGE, "a-very-long-name" * 9 + ".jpg", [], CLASSES, 5, 240)
    (caption,) = [text for text in figure.texts if text.get_text().startswith("a-very")]
    assert caption.get_text().endswith("…") and len(caption.get_text()) < 80


def test_one_pixel_and_empty_masks_are_drawn():
    empty = world.run_lengths(np.zeros(world.SIZE, bool))
    shapes = [
        instance_shapes.Shape(world.RING, (7, 9, 1, 1), world.rectangle((7, 9, 1, 1)), 0.5),
        instance_shapes.Shape(world.DISK, (20, 9, 0, 0), empty, 0.5),
    ]
    assert len(names(drawn([instances.Panel("direct", "", shapes)]).axes[1])) == 2
