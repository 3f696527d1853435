import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroshot.images import grids

side = st.integers(1, 40)
strides = st.sampled_from([1, 3, 4, 8])


def interpolation(n_in, n_out):
    """Return the (n_out, n_in) matrix of linear interpolation between pixel centres at k + 1/2, constant beyond the outer centres."""
    matrix = np.zeros((n_out, n_in))
    for i in range(n_out):
        position = min(max((i + 0.5) * n_in / n_out - 0.5, 0), n_in - 1)
        below = min(int(position), n_in - 1)
        above = min(below + 1, n_in - 1)
        matrix[i, below] += 1 - (position - below)
        matrix[i, above] += position - below
    return matrix


@settings(max_examples=30, deadline=None)
@given(side, side, strides)
def test_upsample_interpolates_between_the_centres_of_cells(height, width, stride):
    h, w = grids.map_size(height, width, stride)
    logits = np.random.default_rng(0).normal(size=(2, 3, h, w))
    result = grids.upsample(torch.from_numpy(logits), (height, width), stride).numpy()
    rows, columns = interpolation(h, h * stride)[:height], interpolation(w, w * stride)[:width]
    np.testing.assert_allclose(result, rows @ logits @ columns.T, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(side, side, st.sampled_from([1, 2, 4, 8]), st.integers(1, 5000))
def test_strips_are_the_rows_of_the_whole_image(height, width, stride, values):
    h, w = grids.map_size(height, width, stride)
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, h, w)).astype(np.float32))
    whole = grids.upsample(logits, (height, width), stride)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "STRIP_VALUES", values)
        strips = list(grids.strips(3 * stride**2, (height, width), stride))
    position = 0
    for strip in strips:
        pixels, rows = strip.upsample(logits[:, :, strip.cells]), strip.rows
        assert rows.start == position and pixels.shape[-2:] == (rows.stop - rows.start, width)
        assert torch.equal(pixels, whole[:, :, rows])
        # At least one row of cells, and else at most so many values.
        assert (rows.stop - rows.start) <= stride or 3 * pixels.shape[-2] * w * stride <= values
        position = rows.stop
    assert position == height


def test_a_map_of_another_image_size_is_refused():
    with pytest.raises(ValueError, match="3 x 4 cells of 4 pixels is not that of an image of 13 x 16"):
        grids.upsample(torch.zeros(1, 1, 3, 4), (13, 16), 4)


@settings(max_examples=30, deadline=None)
@given(side, side, strides, st.sampled_from([np.uint8, np.uint16, np.int64]))
def test_downsample_returns_the_pixel_at_the_centre_of_each_cell(height, width, stride, dtype):
    labels = np.random.default_rng(0).integers(0, 256, (2, height, width)).astype(dtype)
    result = grids.downsample(labels, stride)
    assert result.dtype == dtype and result.shape == (2, *grids.map_size(height, width, stride))
    for i, j in np.ndindex(*result.shape[1:]):
        y, x = min(stride * i + stride // 2, height - 1), min(stride * j + stride // 2, width - 1)
        np.testing.assert_array_equal(result[:, i, j], labels[:, y, x])
    as_tensor = grids.downsample(torch.from_numpy(labels.astype(np.int64)), stride)
    np.testing.assert_array_equal(as_tensor.numpy(), result)


@given(side, side, st.integers(1, 16))
def test_padding_is_below_and_to_the_right(height, width, multiple):
    images = torch.ones(1, 2, height, width)
    padded = grids.pad(images, multiple)
    assert padded.shape[2] % multiple == padded.shape[3] % multiple == 0
    assert 0 <= padded.shape[2] - height < multiple and 0 <= padded.shape[3] - width < multiple
    assert torch.equal(padded[..., :height, :width], images) and padded.sum() == images.sum()


@given(side, side, st.integers(0, 5))
def test_a_margin_is_ignored_pixels_around_the_labels(height, width, margin):
    labels = np.random.default_rng(0).integers(0, 9, (2, height, width)).astype(np.uint16)
    result = grids.add_margin(labels, margin)
    assert result.dtype == np.uint16 and result.shape == (2, height + 2 * margin, width + 2 * margin)
    inside = (slice(None), slice(margin, margin + height), slice(margin, margin + width))
    np.testing.assert_array_equal(result[inside], labels)
    result_as_tensor = grids.add_margin(torch.from_numpy(labels.astype(np.int64)), margin)
    np.testing.assert_array_equal(result_as_tensor.numpy(), result)
    result[inside] = 65535
    assert (result == 65535).all()
