"""Reading label masks of the Semantic Boundaries Dataset (SBD), which come as MATLAB files."""

import pathlib

import numpy as np

from zeroshot.datasets import matlab


def read_mask(path: str | pathlib.Path) -> np.ndarray:
    """Read `GTcls.Segmentation`, the label ids of one image. SBD marks no borders, so it holds no 255.

    Returns:
        (H, W) uint8.

    Raises:
        images.ImageError: if the file is missing, broken, absurdly large, or holds no such matrix.
    """
    classes = matlab.read(path, "GTcls")
    mask = classes.get("Segmentation") if isinstance(classes, dict) else None
    return matlab.check_mask(path, mask, "GTcls.Segmentation", (np.uint8,))
