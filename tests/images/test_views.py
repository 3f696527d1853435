import numpy as np
import PIL.Image
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroshot.cache import sampling
from zeroshot.images import grids, views

VIEWS = [views.View(scale, flip) for scale in (0.5, 0.75, 1.0, 1.3, 2.0) for flip in (False, True)]


def grey_image(mask):
    """Return an image with a different grey value for each label of the mask."""
    return np.repeat((mask * 40).astype(np.uint8)[:, :, None], 3, axis=2)


def blocks(height, width, seed=0):
    labels = np.random.default_rng(seed).integers(0, 6, (-(-height // 16), -(-width // 16)), dtype=np.uint16)
    return np.kron(labels, np.ones((16, 16), np.uint16))[:height, :width].copy()


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_image_and_mask_of_a_view_are_aligned(view):
    mask = blocks(67, 91)
    image, mask = view.image(grey_image(mask)), view.mask(mask)
    assert image.shape == (*mask.shape, 3)
    # Not near borders, where bilinear interpolation mixes the grey values of two labels.
    inside = scipy.ndimage.minimum_filter(mask, 5) == scipy.ndimage.maximum_filter(mask, 5)
    assert inside.mean() > 0.1
    np.testing.assert_array_equal(image[inside], grey_image(mask)[inside])


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_object_centre_is_scaled_and_mirrored(view):
    mask = np.zeros((40, 60), np.uint16)
    mask[8:16, 12:20] = 1
    image, view_labels = view.image(grey_image(mask)), view.mask(mask)
    y, x = 12 * view.scale, 16 * view.scale  # The block's centre, in pixels from the upper left corner.
    if view.flip:
        x = 60 * view.scale - x
    for array in (view_labels, image[:, :, 0]):
        centre = np.array(scipy.ndimage.center_of_mass(array)) + 0.5
        np.testing.assert_allclose(centre, (y, x), atol=0.51)


def test_view_without_scale_or_flip_is_the_identity():
    mask = blocks(11, 14)
    view = views.View(1.0, False)
    np.testing.assert_array_equal(view.mask(mask), mask)
    np.testing.assert_array_equal(view.image(grey_image(mask)), grey_image(mask))


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
def test_flip_reverses_columns_and_two_flips_are_the_identity(scale):
    mask, mirrored = blocks(20, 31), views.View(scale, True)
    straight = views.View(scale, False)
    np.testing.assert_array_equal(mirrored.mask(mask), np.fliplr(straight.mask(mask)))
    np.testing.assert_array_equal(mirrored.image(grey_image(mask)), np.fliplr(straight.image(grey_image(mask))))
    again = views.View(1.0, True)
    np.testing.assert_array_equal(again.mask(again.mask(mask)), mask)


@settings(deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), scale=st.floats(0.01, 3), flip=st.booleans())
def test_views_have_the_computed_size_and_no_new_labels(height, width, scale, flip):
    mask = blocks(height, width)
    view = views.View(scale, flip)
    size = view.size(height, width)
    assert size == (max(1, round(height * scale)), max(1, round(width * scale)))
    assert view.mask(mask).shape == size and view.image(grey_image(mask)).shape == (*size, 3)
    assert view.mask(mask).dtype == np.uint16 and view.image(grey_image(mask)).dtype == np.uint8
    assert set(np.unique(view.mask(mask))) <= set(np.unique(mask))


@settings(deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    box=st.none() | st.tuples(*[st.floats(0, 0.4)] * 2, *[st.floats(0.6, 1)] * 2),
)
def test_masks_are_resized_as_pillow_resizes_8_bit_images_and_keep_large_ids(height, width, size, box):
    mask = np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint16)
    if box:
        box = tuple(share * side for share, side in zip(box, (width, height) * 2, strict=True))
    image = PIL.Image.fromarray(mask.astype(np.uint8))
    expected = np.array(image.resize(size, PIL.Image.Resampling.NEAREST, box=box))
    np.testing.assert_array_equal(views.resize_mask(mask, size, box), expected)
    np.testing.assert_array_equal(views.resize_mask(mask + np.uint16(65280), size, box), expected.astype(int) + 65280)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_views_are_contiguous_and_writeable_arrays(view):
    for array in (view.mask(blocks(9, 9)), view.image(grey_image(blocks(9, 9)))):
        assert array.flags.c_contiguous and array.flags.writeable


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_cells_of_a_view_show_the_same_places_as_cells_of_the_unchanged_image(view):
    mask = blocks(67, 91)
    labels = sampling.label_cells(mask, 4)
    places = np.stack(np.unravel_index(np.arange(labels.size), labels.shape), axis=1).astype(np.uint16)
    view_labels = sampling.label_cells(view.mask(mask), 4)
    y, x = view.cells(places, mask.shape, 4)
    # Not near borders, where a shift of half a cell changes the label.
    inside = (scipy.ndimage.minimum_filter(labels, 3) == scipy.ndimage.maximum_filter(labels, 3)).ravel()
    assert inside.sum() > 50
    np.testing.assert_array_equal(view_labels[y, x][inside], labels.ravel()[inside])


@given(height=st.integers(1, 99), width=st.integers(1, 99), flip=st.booleans())
def test_cells_at_scale_1_are_the_same_or_the_cells_of_the_mirrored_pixels(height, width, flip):
    h, w = grids.map_size(height, width, 4)
    places = np.stack(np.unravel_index(np.arange(h * w), (h, w)), axis=1).astype(np.uint16)
    y, x = views.View(1.0, flip).cells(places, (height, width), 4)
    np.testing.assert_array_equal(y, places[:, 0])
    # The mirror image has the number of each cell of the original at the cell's centre, pixel 2 of 4 or the last pixel.
    columns = np.full(width, -1)
    for cell in range(w):
        columns[min(4 * cell + 2, width - 1)] = cell
    mirrored = {number: column // 4 for column, number in enumerate(columns[::-1] if flip else columns) if number >= 0}
    np.testing.assert_array_equal(x, [mirrored[int(cell)] for cell in places[:, 1]])


def test_around_whole_starts_with_the_unchanged_image_and_has_no_duplicates():
    whole, mirrored = views.View(1.0, False), views.View(1.0, True)
    assert views.around_whole((), flip=False) == [whole]
    assert views.around_whole((), flip=True) == [whole, mirrored]
    assert views.around_whole((0.5, 1.0), flip=False) == [whole, views.View(0.5, False)]
    assert views.around_whole((0.5, 1.0), flip=True)[:2] == [whole, mirrored]


@settings(deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), short_side=st.integers(1, 70))
def test_short_side_is_exact_and_the_aspect_ratio_is_kept(height, width, short_side):
    view = views.View(short_side=short_side)
    size = view.size(height, width)
    # The released code: int(1.0 * longer * short_side / shorter).
    expected = {
        min(height, width): short_side,
        max(height, width): int(max(height, width) * short_side / min(height, width)),
    }
    assert min(size) == short_side and 0 <= size[0] - expected[height] <= 1 and 0 <= size[1] - expected[width] <= 1
    assert view.mask(blocks(height, width)).shape == size
    assert view.image(grey_image(blocks(height, width))).shape == (*size, 3)


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (333, 333), (281, 500)])
def test_sizes_equal_those_of_the_released_code_for_published_short_sides(size):
    shorter, longer = sorted(size)
    for short_side in (312, 513):
        size_of_view = views.View(short_side=short_side).size(*size)
        assert sorted(size_of_view) == [short_side, int(1.0 * longer * short_side / shorter)]
        assert (size_of_view[0] <= size_of_view[1]) == (size[0] <= size[1])


def test_passes_are_every_scale_followed_by_its_mirror_image():
    assert views.passes((1.0, 0.5), flip=False) == [views.View(1.0, False), views.View(0.5, False)]
    assert views.passes((1.0, 0.5), flip=True) == [
        views.View(1.0, False),
        views.View(1.0, True),
        views.View(0.5, False),
        views.View(0.5, True),
    ]


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    margin=st.integers(0, 5),
    stride=st.sampled_from([4, 8, 32]),
    view=st.sampled_from(VIEWS),
)
def test_cells_with_a_margin_exist_in_every_view_and_are_their_own_in_the_unchanged_image(size, margin, stride, view):
    def map_of(side):
        return -(-(side + 2 * margin) // stride)

    shape = tuple(map(map_of, size))
    places = np.stack(np.unravel_index(np.arange(shape[0] * shape[1]), shape), axis=1).astype(np.uint16)
    np.testing.assert_array_equal(np.stack(views.View().cells(places, size, stride, margin), axis=1), places)
    for cells, side in zip(view.cells(places, size, stride, margin), view.size(*size), strict=True):
        assert cells.min() >= 0 and cells.max() < map_of(side)


def test_a_place_in_the_margin_keeps_its_distance_from_the_image():
    """A mirrored image of 90 pixels, stride 32, margin 3: cells are centred at pixels 13, 45 and 77, and mirrored at 76, 44 and 12."""
    x = views.View(flip=True).cells(np.array([[0, 0], [0, 1], [0, 2]]), (90, 90), 32, 3)[1]
    assert x.tolist() == [(76 + 3) // 32, (44 + 3) // 32, (12 + 3) // 32]
