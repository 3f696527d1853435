"""Tiles of a large image: where they lie, and how their maps are blended into one."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from zeroshot.images import grids

# Tiles start at multiples of this number of pixels, and of the stride of the map.
GRAIN = 16


class Span(NamedTuple):
    """The pixels of a tile along one side of the image: from `start` up to, not including, `stop`."""

    start: int
    stop: int


def grain(stride: int) -> int:
    """Return what tiles of a map of this stride start at multiples of, in pixels, so that the cells of a tile are cells of the image."""
    return math.lcm(GRAIN, stride)


def spans(side: int, tile: int, overlap: int, grain: int = GRAIN) -> list[Span]:
    """Return the tiles along a side of an image.

    Neighbouring tiles share `overlap` pixels or more. All tiles are `tile` pixels long, except the last one, which ends with the image
    and is shorter by less than `grain`.

    Args:
        side: length of the side in pixels. One tile covers it if it is not longer than `tile`.
        tile: length of a tile in pixels, a multiple of `grain`.
        overlap: in pixels, a multiple of `grain` below `tile`.
        grain: what tiles start at multiples of, in pixels.

    Raises:
        ValueError: if `tile` or `overlap` is not as described.
    """
    if tile % grain or overlap % grain or not 0 <= overlap < tile:
        raise ValueError(f"a tile of {tile} pixels with an overlap of {overlap}: both must be multiples of {grain}")
    starts = [0]
    while starts[-1] + tile < side:
        last = -(-(side - tile) // grain) * grain
        starts.append(min(starts[-1] + tile - overlap, last))
    return [Span(start, min(start + tile, side)) for start in starts]


def blend(
    image: np.ndarray,
    infer: Callable[[np.ndarray], torch.Tensor],
    *,
    tile: int,
    overlap: int,
    stride: int,
    margin: int = 0,
) -> torch.Tensor:
    """Compute a map of a large image tile by tile.

    Where tiles overlap, each tile's map has a weight that falls linearly from the middle of the overlap of its inner edges, so that
    there is no seam. An image that fits into one tile is computed as a whole.

    Args:
        image: (H, W, 3) uint8.
        infer: returns the map (c, ceil((h + 2 m) / stride), ceil((w + 2 m) / stride)) float32 of a tile (h, w, 3), with the margin m.
        tile: longest side of a tile in pixels, a multiple of `grain(stride)`.
        overlap: of neighbouring tiles in pixels, a multiple of `grain(stride)` below `tile`.
        stride: pixels between neighbouring cells.
        margin: m, pixels that a map covers on each side of its image.

    Returns:
        the map of the image, (c, ceil((H + 2 m) / stride), ceil((W + 2 m) / stride)) float32.
    """
    height, width = image.shape[:2]
    rows, columns = (spans(side, tile, overlap, grain(stride)) for side in (height, width))
    if len(rows) == len(columns) == 1:
        return infer(image)
    total, weights = None, torch.zeros(grids.map_size(height + 2 * margin, width + 2 * margin, stride))
    for row in rows:
        for column in columns:
            cells = infer(image[row.start : row.stop, column.start : column.stop])
            # With a margin, a tile has a cell that is centred beyond it. That of the next tile is better.
            n_rows, n_columns = (
                (span.stop - span.start) // stride if span.stop < side else None
                for span, side in ((row, height), (column, width))
            )
            cells = cells[:, :n_rows, :n_columns]
            weight = torch.outer(
                _ramp(row, height, overlap, stride, cells.shape[1]),
                _ramp(column, width, overlap, stride, cells.shape[2]),
            ).to(cells.device)
            if total is None:
                total = torch.zeros((cells.shape[0], *weights.shape), device=cells.device)
                weights = weights.to(cells.device)
            place = (
                slice(row.start // stride, row.start // stride + cells.shape[1]),
                slice(column.start // stride, column.start // stride + cells.shape[2]),
            )
            total[:, *place] += cells * weight
            weights[place] += weight
    assert total is not None
    return total / weights


def _ramp(span: Span, side: int, overlap: int, stride: int, n_cells: int) -> torch.Tensor:
    """Return the weight of each cell of a tile along one side, (n_cells,) float32 above 0; edges of the image do not lower it."""
    ramp = torch.ones(n_cells)
    length = min(overlap // stride, n_cells)
    if length:
        rise = (torch.arange(length) + 1.0) / (length + 1)
        if span.start > 0:
            ramp[:length] = torch.minimum(ramp[:length], rise)
        if span.stop < side:
            ramp[-length:] = torch.minimum(ramp[-length:], rise.flip(0))
    return ramp
