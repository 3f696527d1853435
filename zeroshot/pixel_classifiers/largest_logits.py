"""The largest of upsampled logits at every pixel, without upsampling most of them.

A pixel between four neighbouring cells gets a weighted mean of their logits. So where one class is the largest at all four, it is the
largest at every pixel between them. The logits of all classes are upsampled only where the four disagree: at the contours of a label map.
At strides of 1 and 2, which no network here has, it is faster to upsample all of them.
"""

from collections.abc import Iterable

import torch

from zeroshot.images import grids

# Classes whose upsampled logits are in memory together. So few stay in the processor's cache until they are compared.
CLASSES_AT_ONCE = 8
# Values (H, W) of the largest of a group of logits, and their labels (H, W) int32.
Largest = tuple[torch.Tensor, torch.Tensor]


def of_blocks(blocks: Iterable[torch.Tensor], labels: torch.Tensor) -> Largest:
    """Return the largest value (...) of all channels of blocks (c, ...), and the label (...) int32 of the first such channel.

    Args:
        blocks: C channels in all.
        labels: (C,) int32.
    """
    channels = (values for block in blocks for values in block)
    highest = next(channels).clone()
    channel, larger = (torch.zeros(highest.shape, dtype=torch.int32, device=highest.device) for _ in range(2))
    for number, values in enumerate(channels, start=1):
        # Channel numbers rise, so the largest of those that exceeded all before is the number of the largest value. On a CPU this takes a
        # quarter of the time of a masked fill.
        torch.gt(values, highest, out=larger)
        torch.maximum(channel, larger.mul_(number), out=channel)
        torch.maximum(highest, values, out=highest)
    return highest, _taken(labels, channel)


def of_upsampled(logits: torch.Tensor, labels: torch.Tensor, size: tuple[int, int], stride: int) -> Largest:
    """Return what `of_blocks` returns for the pixels of `grids.upsample`, up to rounding.

    Args:
        logits: (C, h, w) float32 of an image of `size`.
        labels: (C,) int32, all different.
        size: H and W.
        stride: pixels between neighbouring cells.
    """
    corners = _corners(logits)
    weights = grids.weights_between(stride).to(logits)
    value, label = (_taken(part.flatten(), corners) for part in of_blocks(logits.split(CLASSES_AT_ONCE), labels))
    pixel_values, pixel_labels = value @ weights, label[..., :1].repeat(1, 1, stride**2)
    is_mixed = (label != label[..., :1]).any(-1)
    cells = corners[is_mixed]

    def pixels(part: torch.Tensor) -> torch.Tensor:
        """Return the values (c, m, s^2) of c classes at the pixels of the m places whose cells disagree."""
        return _taken(part, cells) @ weights

    if len(cells):
        blocks = map(pixels, logits.flatten(1).split(CLASSES_AT_ONCE))
        pixel_values[is_mixed], pixel_labels[is_mixed] = of_blocks(blocks, labels)
    return _cut(pixel_values, size, stride), _cut(pixel_labels, size, stride)


def _taken(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return values[..., index], in a ninth of the time on a CPU."""
    return values.index_select(-1, index.flatten()).unflatten(-1, index.shape)


def _corners(logits: torch.Tensor) -> torch.Tensor:
    """Return the numbers (h + 1, w + 1, 4), row after row of a map (C, h, w), of the cells around each place between cells.

    The four are upper left, upper right, lower left and lower right. Beyond the border of the map stand its outermost cells.
    """
    row, column = (torch.arange(-1, n + 1, device=logits.device).clamp(0, n - 1) for n in logits.shape[1:])
    number = row[:, None] * logits.shape[2] + column
    return torch.stack([number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]], dim=-1)


def _cut(between: torch.Tensor, size: tuple[int, int], stride: int) -> torch.Tensor:
    """Return the pixels (H, W) of an image of `size` of those (h + 1, w + 1, s^2) of the places between cells."""
    pixels = between.unflatten(2, (stride, stride)).transpose(1, 2).flatten(2).flatten(0, 1)
    first = (stride + 1) // 2
    return pixels[first : first + size[0], first : first + size[1]]
