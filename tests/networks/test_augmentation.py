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
    return image, rng.integers(0, 20, (height, width), dtype=np.uint16)


def augment(image, mask, seed=0, **changes):
    return augmentation.augment(image, mask, options(**changes), np.random.default_rng(seed))


sides = st.integers(1, 90)
scales = st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)).map(sorted)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(1, 60), scales, st.integers(0, 1000))
def test_any_image_gives_a_crop_that_depends_on_the_rng_only(height, width, crop, scales, seed):
    image, mask = noise(height, width)
    copies = image.copy(), mask.copy()
    results = [augment(image, mask, seed, crop=crop, scales=scales, flip=0.5, blur=0.5) for _ in range(2)]
    for view, labels in results:
        assert view.shape == (crop, crop, 3) and labels.shape == (crop, crop)
        assert view.dtype == np.uint8 and labels.dtype == np.uint16
        assert view.flags["C_CONTIGUOUS"] and labels.flags["C_CONTIGUOUS"]
        assert set(np.unique(labels)) <= {*np.unique(mask), 65535}
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    np.testing.assert_array_equal(image, copies[0])
    np.testing.assert_array_equal(mask, copies[1])


def test_other_seeds_give_other_views():
    image, mask = noise(64, 64)
    views = {augment(image, mask, seed, scales=[0.8, 1.25], flip=0.5)[0].tobytes() for seed in range(20)}
    assert len(views) == 20


def test_padding_has_the_mean_colour_and_is_ignored():
    image, mask = noise(10, 20)
    view, labels = augment(image, mask, crop=24)
    np.testing.assert_array_equal(view[:10, :20], image)
    np.testing.assert_array_equal(labels[:10, :20], mask)
    outside = np.ones((24, 24), bool)
    outside[:10, :20] = False
    assert (labels[outside] == 65535).all() and (view[outside] == MEAN_COLOUR).all()


@settings(max_examples=30, deadline=None)
@given(sides, sides, st.integers(1, 60), st.floats(0.2, 3))
def test_padding_fills_the_rest_of_the_crop(height, width, crop, factor):
    image, mask = noise(height, width)
    _, labels = augment(image, mask, crop=crop, scales=[factor, factor])
    sides_in_crop = [min(crop, max(1, round(side * factor))) for side in (height, width)]
    assert (labels != 65535).sum() == sides_in_crop[0] * sides_in_crop[1]


def test_crops_of_an_unscaled_image_start_at_every_position():
    image, mask = noise(40, 50)
    mask = np.arange(40 * 50).reshape(40, 50)
    positions = set()
    for seed in range(200):
        view, _ = augment(image, (mask // 50).astype(np.uint16), seed)
        _, rows = augment(image, (mask // 50).astype(np.uint16), seed)
        _, columns = augment(image, (mask % 50).astype(np.uint16), seed)
        top, left = int(rows[0, 0]), int(columns[0, 0])
        np.testing.assert_array_equal(view, image[top : top + 32, left : left + 32])
        positions.add((top, left))
    # A crop of 32 can start at 9 rows and 19 columns, and all of them occur.
    assert {top for top, _ in positions} == set(range(9)) and {left for _, left in positions} == set(range(19))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 90), st.integers(20, 90), st.integers(8, 60), st.floats(0.5, 3), st.integers(0, 99), st.booleans()
)
def test_mask_and_image_are_transformed_alike(height, width, crop, factor, seed, mirrored):
    """The red and green channels of the image are its columns and rows; the mask has the columns, then the rows.

    At every pixel, the interpolated colour must differ from the label by at most one source pixel, rounding included.
    """
    rows, columns = np.mgrid[:height, :width].astype(np.uint16)
    image = np.stack([columns, rows, rows], axis=-1).astype(np.uint8)
    changes = {"crop": crop, "scales": [factor, factor], "flip": float(mirrored)}
    for channel, mask in enumerate((columns, rows)):
        view, labels = augment(image, mask, seed, **changes)
        valid = labels != 65535
        # Near the border of the image, a shrinking resize averages over a truncated window, so these pixels are left out.
        edge = mask.max() - 2 / factor
        valid &= (labels > 2 / factor) & (labels < edge)
        distance = np.abs(view[..., channel].astype(int) - labels.astype(int))
        assert (distance[valid] <= 1).all()


def test_colours_and_labels_agree_inside_every_block():
    block = np.random.default_rng(1).integers(0, 12, (6, 6)).astype(np.uint16)
    mask = np.kron(block, np.ones((16, 16), np.uint16))
    image = np.repeat(mask[..., None] * 20, 3, axis=-1).astype(np.uint8)
    for seed in range(20):
        view, labels = augment(image, mask, seed, crop=64, scales=[0.7, 1.6], flip=0.5)
        windows = np.lib.stride_tricks.sliding_window_view(labels, (5, 5))
        inside = (windows == windows[..., 2:3, 2:3]).all(axis=(2, 3)) & (labels[2:-2, 2:-2] != 65535)
        assert inside.mean() > 0.3
        np.testing.assert_array_equal(view[2:-2, 2:-2, 0][inside], labels[2:-2, 2:-2][inside] * 20)


def test_flip_mirrors_the_same_crop():
    image, mask = noise(50, 40)
    for seed in range(5):
        plain = augment(image, mask, seed, scales=[0.5, 2.0], crop=48)
        mirrored = augment(image, mask, seed, scales=[0.5, 2.0], crop=48, flip=1.0)
        np.testing.assert_array_equal(mirrored[0], plain[0][:, ::-1])
        np.testing.assert_array_equal(mirrored[1], plain[1][:, ::-1])


def test_flips_have_the_given_probability():
    image, mask = noise(8, 8)
    flipped = sum((augment(image, mask, seed, crop=8, flip=0.25)[1] != mask).any() for seed in range(400))
    # The number of flips is binomial with mean 100 and standard deviation 8.7; the seeds are fixed.
    assert 70 < flipped < 130


def test_blur_smooths_the_image_and_keeps_mask_and_crop():
    image, mask = noise(40, 40)
    changed = 0
    for seed in range(5):
        plain, blurred = augment(image, mask, seed), augment(image, mask, seed, blur=1.0)
        np.testing.assert_array_equal(blurred[1], plain[1])
        assert blurred[0].std() <= plain[0].std()
        changed += (blurred[0] != plain[0]).any()
    assert changed >= 3


def test_scales_are_log_uniform():
    """Half of log-uniform factors between 1/4 and 4 are below 1; of uniform factors, a fifth are."""
    image, mask = noise(20, 20)
    widths = [(augment(image, mask, seed, crop=90, scales=[0.25, 4.0])[1][0] != 65535).sum() for seed in range(400)]
    assert min(widths) <= 6 and max(widths) >= 75
    assert 160 < sum(width < 20 for width in widths) < 240


@pytest.mark.parametrize("scales", [[2.0, 0.5], [1.0], [0.0, 1.0], [1, 1, 1]])
def test_scales_must_be_two_positive_numbers_in_order(scales):
    with pytest.raises(params.ParamsError, match=r"backbone\.augmentation\.scales"):
        options(scales=scales)
