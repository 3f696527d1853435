"""The grid of feature cells of an image, and the one rule for places: cell (i, j) of a map of stride s covers the pixels from (s i, s j)
up to, not including, (s i + s, s j + s), for every image size. The last cells may reach beyond the image. The map of a network with a
margin is that of the image with this margin on each side, whose pixels are ignored (`add_margin`)."""

import dataclasses
import typing
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from zeroshot.images import label_ids

if typing.TYPE_CHECKING:
    import torch

Labels = TypeVar("Labels", "torch.Tensor", np.ndarray)
# Stride of the feature map of DeepLabv3+ (networks/deeplab.py).
STRIDE = 4
# Largest number of values of a strip: 64 MiB of float32.
STRIP_VALUES = 2**24


def map_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Return the height and width, in cells, of the feature map of an image; neighbouring cells are `stride` pixels apart."""
    # Only positive numbers are divided, since ONNX rounds negative quotients another way.
    return (height + stride - 1) // stride, (width + stride - 1) // stride


def check_map(cells: tuple[int, int], size: tuple[int, int], stride: int) -> None:
    """Check that a map of `cells`, its height and width, is that of an image of `size` pixels.

    Raises:
        ValueError: if it is not.
    """
    if cells != map_size(*size, stride):
        (h, w), (height, width) = cells, size
        raise ValueError(
            f"a map of {h} x {w} cells of {stride} pixels is not that of an image of {height} x {width} pixels"
        )


def centres(side: int, stride: int) -> np.ndarray:
    """Return the pixel at the centre of each cell along a side of `side` pixels, (ceil(side / stride),) int64.

    The pixel that stands for a cell is at s i + s // 2. If it is beyond the image, the last pixel stands for the cell.
    """
    return np.minimum(np.arange(-(-side // stride)) * stride + stride // 2, side - 1)


def add_margin(labels: Labels, margin: int) -> Labels:
    """Surround labels (..., H, W) by ignored pixels; return (..., H + 2 m, W + 2 m), and `labels` itself for a margin m of 0."""
    if margin == 0:
        return labels
    if isinstance(labels, np.ndarray):
        widths = [(0, 0)] * (labels.ndim - 2) + [(margin, margin)] * 2
        return np.pad(labels, widths, constant_values=label_ids.IGNORE_INDEX)
    from torch.nn import functional

    return functional.pad(labels, (margin,) * 4, value=label_ids.IGNORE_INDEX)


def pad(images: "torch.Tensor", multiple: int) -> "torch.Tensor":
    """Append zeros (b, c, H, W) below and to the right until both sides are multiples of `multiple`."""
    # PyTorch takes seconds to import, and prepare_split does not need it.
    from torch.nn import functional

    height, width = images.shape[-2:]
    return functional.pad(images, (0, -width % multiple, 0, -height % multiple))


def upsample(logits: "torch.Tensor", size: tuple[int, int], stride: int) -> "torch.Tensor":
    """Resize logits (b, c, h, w) bilinearly to pixels (b, c, *size): by the factor `stride`, then cut to the image.

    Pixel centres are at half-integers (align_corners=False); the released code aligns corners. Without the cut, h cells would be
    stretched over an image that may have fewer than h s pixels, and labels would slide by up to s - 1 pixels.

    Args:
        logits: of an image of `size`, so h = ceil(H / s) and w = ceil(W / s).
        size: H and W.
        stride: s.

    Raises:
        ValueError: if they are not.
    """
    from torch.nn import functional

    h, w = logits.shape[-2:]
    check_map((h, w), size, stride)
    pixels = functional.interpolate(logits, size=(h * stride, w * stride), mode="bilinear", align_corners=False)
    return pixels[..., : size[0], : size[1]]


def weights_between(stride: int) -> "torch.Tensor":
    """Return the weights (4, s * s) of the four cells around a place between cells, in `upsample`, for each of its pixels row by row.

    The cells are upper left, upper right, lower left and lower right. The pixels are those whose centres are at least as far down and to
    the right as the centre of the first cell, and nearer than that of the last.
    """
    import torch

    # Distances of the pixels from the centre of the first cell, in cells.
    after = (torch.arange(stride) + 0.5 * (1 - stride % 2)) / stride
    side = torch.stack([1 - after, after])
    return torch.einsum("ay,bx->abyx", side, side).reshape(4, stride**2)


@dataclasses.dataclass(frozen=True)
class Strip:
    """Some rows of an image, and the rows of its cells that interpolation needs for them.

    Attributes:
        rows: rows of pixels.
        cells: rows of cells: those of the pixels and, where there are more, one above and one below.
        width: W of the image.
        stride: pixels between neighbouring cells.
    """

    rows: slice
    cells: slice
    width: int
    stride: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the part of the image that its cells cover."""
        return (self.cells.stop - self.cells.start) * self.stride, self.width

    def cut(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Return the strip's rows (..., rows, W) of the pixels (..., *self.size) that its cells cover."""
        top = self.cells.start * self.stride
        return pixels[..., self.rows.start - top : self.rows.stop - top, :]

    def upsample(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Return the strip's rows (b, c, rows, W) of what `upsample` returns for the image, of the logits (b, c, cells, w) of its cells."""
        return self.cut(upsample(logits, self.size, self.stride))


def strips(values_per_cell: int, size: tuple[int, int], stride: int) -> Iterator[Strip]:
    """Yield the strips of an image of `size` from top to bottom.

    Args:
        values_per_cell: what the caller holds in memory for each cell of a strip. A strip has at most `STRIP_VALUES` of them in all,
            but at least one row of cells.
        size: H and W.
        stride: pixels between neighbouring cells.
    """
    h, w = map_size(*size, stride)
    n_rows = max(1, STRIP_VALUES // (values_per_cell * w) - 2)
    for start in range(0, h, n_rows):
        rows = slice(start * stride, min((start + n_rows) * stride, size[0]))
        yield Strip(rows, slice(max(start - 1, 0), min(start + n_rows + 1, h)), size[1], stride)


def downsample(labels: Labels, stride: int) -> Labels:
    """Return labels (..., ceil(H / s), ceil(W / s)): of labels (..., H, W), those of the pixels at the `centres` of the cells."""
    y, x = (centres(side, stride) for side in labels.shape[-2:])
    return labels[..., y[:, None], x]
