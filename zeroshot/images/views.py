"""Mirrored and resized views of an image, for additional passes over the training set and for evaluation of resized images."""

import dataclasses
from typing import Annotated

import numpy as np
import PIL.Image
import pydantic

from zeroshot.images import grids

# Type of a parameter: length in pixels to which the shorter side is resized, or None for the original size.
ShortSide = Annotated[int, pydantic.Field(ge=16, le=4096)] | None

# Index of the pass over the unchanged image, in caches of unlabelled images.
WHOLE = 0


@dataclasses.dataclass(frozen=True)
class View:
    """One view: the image resized by `scale` or to the shorter side `short_side`, then mirrored if `flip`."""

    scale: float = 1.0
    flip: bool = False
    short_side: int | None = None

    def image(self, image: np.ndarray) -> np.ndarray:
        """Return the view of an image (H, W, 3) uint8, resized bilinearly."""
        height, width = self.size(*image.shape[:2])
        if (height, width) != image.shape[:2]:
            image = np.array(PIL.Image.fromarray(image).resize((width, height), PIL.Image.Resampling.BILINEAR))
        return self._mirror(image)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """Return the view of a mask (H, W) uint16, resized by nearest neighbour."""
        height, width = self.size(*mask.shape)
        return self._mirror(mask if (height, width) == mask.shape else resize_mask(mask, (width, height)))

    def cells(
        self, position: np.ndarray, image: tuple[int, int], stride: int, margin: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells of this view's feature map that show the same places as cells of the unchanged image.

        Args:
            position: (n, 2) integers, cells (y, x) of the feature map of the unchanged image.
            image: height and width of the unchanged image in pixels.
            stride: pixels between neighbouring cells.
            margin: pixels that both feature maps cover on each side of their images.

        Returns:
            Rows and columns, (n,) int64 each, of the cells that contain the centres of the given cells; for a centre beyond the other map,
            as one in the margin can be, the nearest cell.
        """
        size = self.size(*image)
        # The middle of the pixel at the centre of each cell, from 0 to 1 across the image.
        y, x = (
            (grids.centres(side + 2 * margin, stride)[cells.astype(np.int64)] - margin + 0.5) / side
            for side, cells in zip(image, position.T, strict=True)
        )
        if self.flip:
            x = 1 - x
        rows, columns = (
            np.clip(place * side + margin, 0, side + 2 * margin - 1).astype(np.int64) // stride
            for place, side in zip((y, x), size, strict=True)
        )
        return rows, columns

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the view of an image of size (height, width).

        With a `short_side` the longer side is rounded down, as in the released code (`FixScale`).
        """
        if self.short_side is not None:
            shorter = min(height, width)
            return height * self.short_side // shorter, width * self.short_side // shorter
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def _mirror(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array[:, ::-1]) if self.flip else array


def resize_mask(
    mask: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    """Return a mask (H, W) uint16 resized by nearest neighbour.

    Args:
        mask: (H, W) uint16.
        size: width and height of the result, in pixels.
        box: left, upper, right and lower bound of the part of the mask to resize, in pixels; all of it if None.
    """
    # Pillow's 16-bit images round the places of pixels in another way than its 8-bit images do; its 32-bit images do not.
    image = PIL.Image.fromarray(mask.astype(np.int32))
    return np.asarray(image.resize(size, PIL.Image.Resampling.NEAREST, box=box)).astype(mask.dtype)


def around_whole(scales: tuple[float, ...], flip: bool) -> list[View]:
    """Return the unchanged image and then the views of the other scales, each followed by its mirror image if `flip`."""
    return passes((1.0, *(scale for scale in scales if scale != 1.0)), flip)


def passes(scales: tuple[float, ...], flip: bool) -> list[View]:
    """Return the views of every scale, each followed by its mirror image if `flip`."""
    return [View(scale, mirrored) for scale in scales for mirrored in ((False, True) if flip else (False,))]
