"""The grid of feature cells of an image: its size, and the conversion of labels and logits between cells and pixels."""

import torch
from torch.nn import functional


def map_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Return the height and width, in cells, of the feature map of an image; neighbouring cells are `stride` pixels apart."""
    return -(-height // stride), -(-width // stride)


def upsample(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize logits (b, c, h, w) bilinearly to (b, c, *size).

    Pixel centres are at half-integers (align_corners=False), which is correct for every image size. The released code aligns corners,
    which is correct only for sides of 4k + 1 pixels.
    """
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def downsample(labels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return labels (b, *size): of labels (b, H, W) of any integer type, the pixel nearest to the centre of each cell."""
    return functional.interpolate(labels[:, None].double(), size=size, mode="nearest-exact")[:, 0].to(labels.dtype)
