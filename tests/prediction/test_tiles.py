import numpy as np
import pytest
import torch

from zeroshot.images import grids
from zeroshot.prediction import tiles


@pytest.mark.parametrize("side", [1, 15, 64, 65, 79, 80, 97, 200, 333])
def test_tiles_cover_a_side_overlap_and_lie_on_the_cells_of_the_whole_image(side):
    spans = tiles.spans(side, 64, 16)
    assert spans[0].start == 0 and spans[-1].stop == side
    assert all(0 < span.stop - span.start <= 64 and span.start % 16 == 0 for span in spans)
    assert all(before.stop - after.start >= 16 for before, after in zip(spans, spans[1:], strict=False))
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


def test_there_is_no_seam_where_tiles_differ():
    calls = iter(range(10))

    def constant(image):
        return torch.full((1, *grids.map_size(*image.shape[:2], 4)), float(next(calls)))

    row = tiles.blend(np.zeros((16, 160, 3), np.uint8), constant, tile=96, overlap=32, stride=4)[0, 0]
    assert row[0] == 0 and row[-1] == 1
    steps = row.diff()
    assert steps.min() >= 0 and 0 < steps.max() < 0.15
