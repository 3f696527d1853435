"""The grid of feature cells that lies over an image, and how labels and logits pass from one to the other."""

import torch
from torch.nn import functional


def map_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Return the height and width in cells of the feature map of an image, whose cells are `stride` pixels apart."""
    return -(-height // stride), -(-width // stride)


def upsample(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize logits (b, c, h, w) bilinearly to (b, c, *size).

    Half-pixel centres (align_corners=False), so that one rule serves every image size; the released code aligns corners,
    which places features right for sides of 4k + 1 only.
    """
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def downsample(labels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Pick, for labels (b, H, W) of any integer type, the pixel nearest to the centre of each cell of a (b, *size) feature map."""
    return functional.interpolate(labels[:, None].double(), size=size, mode="nearest-exact")[:, 0].to(labels.dtype)
