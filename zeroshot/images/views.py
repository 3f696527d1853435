"""Deterministic views of an image: mirrored or resized, for extra passes over the training set and for resized evaluation."""

import dataclasses
from typing import Annotated

import numpy as np
import PIL.Image
import pydantic

# A parameter: the size in pixels to bring the shorter side to, or None to leave an image as it is.
ShortSide = Annotated[int, pydantic.Field(ge=16, le=4096)] | None

# The number of the pass over the image as it is, in caches of unlabelled images.
WHOLE = 0


@dataclasses.dataclass(frozen=True)
class View:
    """One pass: the image resized by `scale`, or so that its shorter side is `short_side`, then mirrored if `flip`."""

    scale: float = 1.0
    flip: bool = False
    short_side: int | None = None

    def image(self, image: np.ndarray) -> np.ndarray:
        """Return the view of an image (H, W, 3) uint8, bilinear."""
        return self._apply(image, PIL.Image.Resampling.BILINEAR)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """Return the view of a mask (H, W) uint8, nearest."""
        return self._apply(mask, PIL.Image.Resampling.NEAREST)

    def cells(
        self, position: np.ndarray, whole: tuple[int, int], size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and columns (n,) int64, on this view's feature map, of the cells that show the same places.

        Args:
            position: (n, 2) cells (y, x) of the feature map of the image as it is; the cell is that over the place's middle.
            whole: height and width of that map.
            size: height and width of this view's map.
        """
        y, x = ((2 * position.astype(np.int64) + 1) * size // (2 * np.array(whole))).T
        return y, size[1] - 1 - x if self.flip else x

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the view of an image of this size.

        With a `short_side` the longer side is rounded down, as in the released code (`FixScale`).
        """
        if self.short_side is not None:
            shorter = min(height, width)
            return height * self.short_side // shorter, width * self.short_side // shorter
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def _apply(self, array: np.ndarray, resampling: PIL.Image.Resampling) -> np.ndarray:
        height, width = self.size(*array.shape[:2])
        if (height, width) != array.shape[:2]:
            array = np.array(PIL.Image.fromarray(array).resize((width, height), resampling))
        return np.ascontiguousarray(array[:, ::-1]) if self.flip else array


def around_whole(scales: tuple[float, ...], flip: bool) -> list[View]:
    """Return the image as it is and then the other views of scale 1 and of every scale, each with its mirror image if `flip`."""
    return passes((1.0, *(scale for scale in scales if scale != 1.0)), flip)


def passes(scales: tuple[float, ...], flip: bool) -> list[View]:
    """Return the views of every scale, each followed by its mirror image if `flip`."""
    return [View(scale, mirrored) for scale in scales for mirrored in ((False, True) if flip else (False,))]
