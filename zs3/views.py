"""Deterministic views of an image for extra passes over the training set: mirrored or resized."""

import dataclasses

import numpy as np
import PIL.Image


@dataclasses.dataclass(frozen=True)
class View:
    """One pass: the image resized by `scale`, then mirrored if `flip`."""

    scale: float
    flip: bool

    def image(self, image: np.ndarray) -> np.ndarray:
        """Return the view of an image (H, W, 3) uint8, bilinear."""
        return self._apply(image, PIL.Image.Resampling.BILINEAR)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """Return the view of a mask (H, W) uint8, nearest."""
        return self._apply(mask, PIL.Image.Resampling.NEAREST)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the view of an image of this size."""
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def _apply(self, array: np.ndarray, resampling: PIL.Image.Resampling) -> np.ndarray:
        height, width = self.size(*array.shape[:2])
        if (height, width) != array.shape[:2]:
            array = np.array(PIL.Image.fromarray(array).resize((width, height), resampling))
        return np.ascontiguousarray(array[:, ::-1]) if self.flip else array


def passes(scales: tuple[float, ...], flip: bool) -> list[View]:
    """Return the views of every scale, each followed by its mirror image if `flip`."""
    return [View(scale, mirrored) for scale in scales for mirrored in ((False, True) if flip else (False,))]
