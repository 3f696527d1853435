import numpy as np
import PIL.Image
import pytest

from zeroshot.images import label_ids, pictures

CLASSES = ("background", "cow", "dog", "sheep")
TRUTH = np.array([[0, 1, 1], [2, 2, 65535]], np.uint16)
PREDICTION = np.array([[0, 0, 1], [3, 3, 0]], np.uint16)
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8)
# Longer side of a panel: each of the 2 x 3 pixels becomes a square of 20.
SIDE = 60
TOP = pictures.MARGIN + pictures.LINE


def draw(label_maps, unseen=(1,), side=SIDE, image=IMAGE):
    return np.asarray(pictures.compare(image, label_maps, CLASSES, unseen, side))


def panel(picture, number, height=40, width=60):
    left = pictures.MARGIN + number * (width + pictures.MARGIN)
    return picture[TOP : TOP + height, left : left + width]


def enlarged(labels):
    return np.kron(label_ids.palette()[labels], np.ones((20, 20, 1), np.uint8))


def swatches(picture, height=40):
    """Return the colours of the legend's squares, line by line and from left to right."""
    colours = []
    line = TOP + height + pictures.MARGIN
    while line + pictures.SWATCH < len(picture):
        row = picture[line + pictures.SWATCH // 2]
        for x in range(len(row) - pictures.SWATCH):
            square = picture[line : line + pictures.SWATCH, x : x + pictures.SWATCH].reshape(-1, 3)
            if (square == square[0]).all() and (square[0] != 255).any():
                colours.append(tuple(square[0].tolist()))
        line += pictures.LINE
    return colours


def test_panels_show_the_maps_in_the_colours_of_voc():
    picture = draw({"truth": TRUTH, "zs3net": PREDICTION, "zs5net": TRUTH})
    assert picture.dtype == np.uint8 and picture.shape[1] == pictures.MARGIN + 4 * (SIDE + pictures.MARGIN)
    for number, labels in ((1, TRUTH), (2, PREDICTION), (3, TRUTH)):
        np.testing.assert_array_equal(panel(picture, number), enlarged(labels))
    expected = PIL.Image.fromarray(IMAGE).resize((60, 40), PIL.Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(panel(picture, 0), np.asarray(expected))


def test_space_between_panels_is_white():
    picture = draw({"truth": TRUTH, "zs3net": PREDICTION})
    for number in range(4):
        left = number * (SIDE + pictures.MARGIN)
        assert (picture[TOP : TOP + 40, left : left + pictures.MARGIN] == 255).all()
    assert (picture[-pictures.MARGIN // 2 :] == 255).all() and (picture[:2] == 255).all()


def test_legend_has_every_class_of_the_maps_once_and_unseen_classes_first():
    colours = label_ids.palette()
    for maps, labels in (
        ({"truth": TRUTH, "zs3net": PREDICTION}, [1, 0, 2, 3, 65535]),
        ({"truth": TRUTH}, [1, 0, 2, 65535]),
        ({"zs3net": PREDICTION}, [1, 0, 3]),
        ({"truth": np.full((2, 3), 2, np.uint16)}, [2]),
    ):
        assert swatches(draw(maps)) == [tuple(colours[label].tolist()) for label in labels]
    assert swatches(draw({"truth": TRUTH, "zs3net": PREDICTION}, unseen=(3, 2)))[:2] == [
        tuple(colours[label].tolist()) for label in (2, 3)
    ]


def test_classes_from_255_on_and_ignored_pixels_have_different_colours():
    labels = np.array([[7, 255, 263], [300, 65535, 65535]], np.uint16)
    classes = [f"class {label}" for label in range(301)]
    picture = np.asarray(pictures.compare(IMAGE, {"truth": labels}, classes, (300,), SIDE))
    np.testing.assert_array_equal(panel(picture, 1), enlarged(labels))
    expected = [tuple(label_ids.palette()[label].tolist()) for label in (300, 7, 255, 263, 65535)]
    assert swatches(picture) == expected and len(set(expected)) == 5


def test_legend_marks_unseen_classes():
    as_unseen, as_seen = (draw({"truth": np.ones((2, 3), np.uint16)}, unseen) for unseen in ((1,), ()))
    legend = TOP + 40
    np.testing.assert_array_equal(as_unseen[:legend], as_seen[:legend])
    assert np.count_nonzero(as_unseen[legend:] != 255) > np.count_nonzero(as_seen[legend:] != 255)


@pytest.mark.parametrize("n_maps", [1, 2, 6])
def test_legend_fits_into_the_picture_and_its_lines_do_not_overlap(n_maps):
    labels = np.arange(60, dtype=np.uint16).reshape(6, 10)
    classes = [f"quite a long name {label}" for label in range(60)]
    maps = {f"map {number}": labels for number in range(n_maps)}
    picture = np.asarray(pictures.compare(np.zeros((6, 10, 3), np.uint8), maps, classes, (), 100))
    assert len(swatches(picture, 60)) == 60
    assert (picture[:, -2:] == 255).all()


def test_captions_are_above_their_panels():
    """The caption of a panel in a picture with two maps equals that in a picture with one map."""
    both = draw({"truth": TRUTH, "zs3net": PREDICTION})
    alone = draw({"zs3net": PREDICTION})
    step = SIDE + pictures.MARGIN
    np.testing.assert_array_equal(both[:TOP, 2 * step : 3 * step], alone[:TOP, step : 2 * step])
    assert (both[: TOP - 2, 2 * step : 3 * step] < 128).any()


@pytest.mark.parametrize(("size", "expected"), [((400, 100), (60, 15)), ((100, 400), (15, 60)), ((1, 500), (1, 60))])
def test_panels_have_the_given_longer_side_for_every_map_size(size, expected):
    image = np.zeros((*size, 3), np.uint8)
    picture = draw({"truth": np.full((2, 2), 3, np.uint16)}, image=image)
    pixels = panel(picture, 1, *expected)
    assert pixels.shape == (*expected, 3) and (pixels == label_ids.palette()[3]).all()


def test_equal_pictures_are_written_byte_identically(tmp_path):
    for name in ("one.png", "two.png"):
        pictures.write(tmp_path / name, pictures.compare(IMAGE, {"truth": TRUTH}, CLASSES, (1,), SIDE))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with PIL.Image.open(tmp_path / "one.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), draw({"truth": TRUTH}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_binary_maps_come_after_the_label_maps_white_where_true_and_without_a_legend():
    mask = np.array([[True, False, False], [False, True, True]])
    binary = {"seen mask": mask, "true mask": ~mask}
    picture = np.asarray(pictures.compare(IMAGE, {"truth": TRUTH}, CLASSES, (1,), SIDE, binary))
    white = np.kron(
        np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(3, axis=-1), np.ones((20, 20, 1), np.uint8)
    )
    np.testing.assert_array_equal(panel(picture, 1), enlarged(TRUTH))
    np.testing.assert_array_equal(panel(picture, 2), white)
    np.testing.assert_array_equal(panel(picture, 3), 255 - white)
    assert len(swatches(picture)) == len(swatches(draw({"truth": TRUTH})))


def test_names_wider_than_the_image_widen_the_picture_and_are_whole():
    classes = ("background", "sixty-four pixels are too few", "for these names of classes")
    colours = label_ids.palette()[:3]

    def draw_overlay(width):
        labels = np.zeros((64, width), np.uint16)
        labels[:20, :30], labels[40:, :30] = 1, 2
        return np.asarray(pictures.overlay(np.full((64, width, 3), 90, np.uint8), labels, classes, (2,), colours))

    narrow, wide = draw_overlay(64), draw_overlay(800)
    np.testing.assert_array_equal(narrow[:64, :64], wide[:64, :64])
    assert wide.shape[1] == 800 and (narrow[:64, 64:] == 255).all()
    legend, in_one_line = narrow[64 + pictures.MARGIN :], wide[64 + pictures.MARGIN :]
    texts = [legend[line : line + pictures.LINE] for line in range(0, 3 * pictures.LINE, pictures.LINE)]
    # The longest name, of an unseen class, comes first, and has a margin on each side.
    assert (texts[0][:, -pictures.MARGIN :] == 255).all()
    np.testing.assert_array_equal(texts[0], in_one_line[: pictures.LINE, : legend.shape[1]])
    ink = [np.count_nonzero(text != 255) for text in texts]
    assert all(ink) and sum(ink) == np.count_nonzero(in_one_line != 255)


@pytest.mark.parametrize("width", [320, 500])
def test_usual_names_leave_the_picture_as_wide_as_the_image(width):
    labels = np.arange(3 * width, dtype=np.uint16).reshape(3, width) % 4
    picture = pictures.overlay(np.zeros((3, width, 3), np.uint8), labels, CLASSES, (1,), label_ids.palette()[:4])
    assert picture.width == width
