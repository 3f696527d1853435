import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroshot.base import params
from zeroshot.networks import augmentation

MEAN_COLOUR = (124, 116, 104)


def options(**changes):
    values = {"crop": 32, "scales": [1.0, 1.0], "flip": 0.0, "blur": 0.0, **changes}
    return params.build(values, augmentation.Params, "backbone.augmentation")


def noise(height, width, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return image, rng.integers(0, 20, (height, width), dtype=np.uint8)


def draw(image, mask, seed=0, **changes):
    return augmentation.augment(image, mask, options(**changes), np.random.default_rng(seed))


sides = st.integers(1, 90)
scales = st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)).map(sorted)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(1, 60), scales, st.integers(0, 1000))
def test_any_image_gives_a_crop_and_the_same_one_for_the_same_rng(height, width, crop, scales, seed):
    image, mask = noise(height, width)
    before = image.copy(), mask.copy()
    results = [draw(image, mask, seed, crop=crop, scales=scales, flip=0.5, blur=0.5) for _ in range(2)]
    for view, labels in results:
        assert view.shape == (crop, crop, 3) and labels.shape == (crop, crop)
        assert view.dtype == labels.dtype == np.uint8
        assert view.flags["C_CONTIGUOUS"] and labels.flags["C_CONTIGUOUS"]
        assert set(np.unique(labels)) <= {*np.unique(mask), 255}
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_other_rngs_give_other_views():
    image, mask = noise(64, 64)
    views = {draw(image, mask, seed, scales=[0.8, 1.25], flip=0.5)[0].tobytes() for seed in range(20)}
    assert len(views) == 20


def test_what_the_image_does_not_fill_is_mean_colour_and_ignored():
    image, mask = noise(10, 20)
    view, labels = draw(image, mask, crop=24)
    np.testing.assert_array_equal(view[:10, :20], image)
    np.testing.assert_array_equal(labels[:10, :20], mask)
    outside = np.ones((24, 24), bool)
    outside[:10, :20] = False
    assert (labels[outside] == 255).all() and (view[outside] == MEAN_COLOUR).all()


@settings(max_examples=30, deadline=None)
@given(sides, sides, st.integers(1, 60), st.floats(0.2, 3))
def test_padding_takes_what_the_scaled_image_leaves(height, width, crop, factor):
    image, mask = noise(height, width)
    _, labels = draw(image, mask, crop=crop, scales=[factor, factor])
    filled = [min(crop, max(1, round(side * factor))) for side in (height, width)]
    assert (labels != 255).sum() == filled[0] * filled[1]


def test_a_crop_of_the_unscaled_image_is_cut_out_of_it_anywhere():
    image, mask = noise(40, 50)
    mask = np.arange(40 * 50).reshape(40, 50)
    places = set()
    for seed in range(200):
        row, _ = draw(image, (mask // 50).astype(np.uint8), seed)
        _, rows = draw(image, (mask // 50).astype(np.uint8), seed)
        _, columns = draw(image, (mask % 50).astype(np.uint8), seed)
        top, left = int(rows[0, 0]), int(columns[0, 0])
        np.testing.assert_array_equal(row, image[top : top + 32, left : left + 32])
        places.add((top, left))
    # All rows and columns at which a crop of 32 can start.
    assert {top for top, _ in places} == set(range(9)) and {left for _, left in places} == set(range(19))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 90), st.integers(20, 90), st.integers(8, 60), st.floats(0.5, 3), st.integers(0, 99), st.booleans()
)
def test_the_mask_stays_on_the_image(height, width, crop, factor, seed, mirrored):
    """A picture whose red and green are its columns and rows, with a mask of columns, then one of rows.

    At every pixel the interpolated colour must be within one source pixel (plus rounding) of the nearest pixel's number.
    """
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    image = np.stack([columns, rows, rows], axis=-1)
    changes = {"crop": crop, "scales": [factor, factor], "flip": float(mirrored)}
    for channel, mask in enumerate((columns, rows)):
        view, labels = draw(image, mask, seed, **changes)
        valid = labels != 255
        # Averaging over the window of a shrinking resize is lopsided where the image ends.
        edge = mask.max() - 2 / factor
        valid &= (labels > 2 / factor) & (labels < edge)
        distance = np.abs(view[..., channel].astype(int) - labels.astype(int))
        assert (distance[valid] <= 1).all()


def test_painted_labels_and_mask_agree_inside_every_block():
    block = np.random.default_rng(1).integers(0, 12, (6, 6)).astype(np.uint8)
    mask = np.kron(block, np.ones((16, 16), np.uint8))
    image = np.repeat(mask[..., None] * 20, 3, axis=-1)
    for seed in range(20):
        view, labels = draw(image, mask, seed, crop=64, scales=[0.7, 1.6], flip=0.5)
        windows = np.lib.stride_tricks.sliding_window_view(labels, (5, 5))
        inside = (windows == windows[..., 2:3, 2:3]).all(axis=(2, 3)) & (labels[2:-2, 2:-2] != 255)
        assert inside.mean() > 0.3
        np.testing.assert_array_equal(view[2:-2, 2:-2, 0][inside], labels[2:-2, 2:-2][inside] * 20)


def test_a_flip_is_the_mirror_image_of_the_same_crop():
    image, mask = noise(50, 40)
    for seed in range(5):
        plain = draw(image, mask, seed, scales=[0.5, 2.0], crop=48)
        mirrored = draw(image, mask, seed, scales=[0.5, 2.0], crop=48, flip=1.0)
        np.testing.assert_array_equal(mirrored[0], plain[0][:, ::-1])
        np.testing.assert_array_equal(mirrored[1], plain[1][:, ::-1])


def test_flips_come_as_often_as_asked():
    image, mask = noise(8, 8)
    flipped = sum((draw(image, mask, seed, crop=8, flip=0.25)[1] != mask).any() for seed in range(400))
    # Binomial with mean 100 and standard deviation 8.7; the seeds are fixed.
    assert 70 < flipped < 130


def test_blur_smooths_the_image_and_leaves_mask_and_place():
    image, mask = noise(40, 40)
    changed = 0
    for seed in range(5):
        plain, blurred = draw(image, mask, seed), draw(image, mask, seed, blur=1.0)
        np.testing.assert_array_equal(blurred[1], plain[1])
        assert blurred[0].std() <= plain[0].std()
        changed += (blurred[0] != plain[0]).any()
    assert changed >= 3


def test_scales_are_drawn_log_uniformly():
    """Half of the factors between 1/4 and 4 are below 1; of uniform ones it would be a fifth."""
    image, mask = noise(20, 20)
    widths = [(draw(image, mask, seed, crop=90, scales=[0.25, 4.0])[1][0] != 255).sum() for seed in range(400)]
    assert min(widths) <= 6 and max(widths) >= 75
    assert 160 < sum(width < 20 for width in widths) < 240


@pytest.mark.parametrize("scales", [[2.0, 0.5], [1.0], [0.0, 1.0], [1, 1, 1]])
def test_scales_must_be_two_positive_numbers_in_order(scales):
    with pytest.raises(params.ParamsError, match=r"backbone\.augmentation\.scales"):
        options(scales=scales)
