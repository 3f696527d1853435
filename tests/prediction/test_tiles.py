import numpy as np
import pytest
import torch

from zeroshot.images import grids
from zeroshot.prediction import tiles


@pytest.mark.parametrize("grain", [16, 32])
@pytest.mark.parametrize("side", [1, 15, 64, 65, 79, 80, 97, 200, 333])
def test_tiles_cover_a_side_overlap_and_lie_on_the_cells_of_the_whole_image(side, grain):
    spans = tiles.spans(side, 64, grain, grain)
    assert spans[0].start == 0 and spans[-1].stop == side
    assert all(0 < span.stop - span.start <= 64 and span.start % grain == 0 for span in spans)
    assert all(before.stop - after.start >= grain for before, after in zip(spans, spans[1:], strict=False))
    assert len(spans) == 1 or all(span.stop - span.start == 64 for span in spans[:-1])


@pytest.mark.parametrize(("tile", "overlap"), [(60, 16), (64, 8), (64, 64), (64, -16)])
def test_a_tile_that_does_not_fit_the_cells_is_refused(tile, overlap):
    with pytest.raises(ValueError, match="multiples of 16"):
        tiles.spans(100, tile, overlap)


def brightness(image):
    """The value of the pixel at the centre of each cell, once as it is and once negated."""
    cells = grids.downsample(torch.from_numpy(image[..., 0].astype(np.float32)), 4)
    return torch.stack([cells, -cells])


@pytest.mark.parametrize("size", [(40, 50), (64, 64), (65, 190), (201, 77)])
def test_a_map_that_needs_no_context_is_the_same_in_tiles(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    blended = tiles.blend(image, brightness, tile=64, overlap=32, stride=4)
    # The last tile may end within a cell, whose centre is then another pixel, only at the edge of the image, as for the whole image.
    assert torch.allclose(blended, brightness(image), atol=1e-3)


@pytest.mark.parametrize("overlap", [0, 32, 64])
@pytest.mark.parametrize("size", [(65, 190), (201, 77), (128, 97)])
def test_a_map_with_a_margin_is_the_same_in_tiles(size, overlap):
    """The map of FCN-32s, whose cells are centred at 32 i + 13 and may be beyond the image, where they have the value -1."""

    def centres(image):
        whole = np.pad(image[..., 0].astype(np.float32), ((3, 32), (3, 32)), constant_values=-1)
        h, w = grids.map_size(image.shape[0] + 6, image.shape[1] + 6, 32)
        return torch.from_numpy(whole[16::32, 16::32][None, :h, :w].copy())

    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    blended = tiles.blend(image, centres, tile=96, overlap=overlap, stride=32, margin=3)
    assert torch.allclose(blended, centres(image), atol=1e-3)


def test_there_is_no_seam_where_tiles_differ():
    calls = iter(range(10))

    def constant(image):
        return torch.full((1, *grids.map_size(*image.shape[:2], 4)), float(next(calls)))

    row = tiles.blend(np.zeros((16, 160, 3), np.uint8), constant, tile=96, overlap=32, stride=4)[0, 0]
    assert row[0] == 0 and row[-1] == 1
    steps = row.diff()
    assert steps.min() >= 0 and 0 < steps.max() < 0.15
