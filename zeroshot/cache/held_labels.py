"""The labels of unlabelled images that prepare_split holds back; for figures and the feature oracle alone (DESIGN.md, section 3)."""

import pathlib
from collections.abc import Sequence

import numpy as np

from zeroshot.cache import sampling
from zeroshot.images import image_files


def of_rows(image: np.ndarray, position: np.ndarray, names: Sequence[str], masks: pathlib.Path) -> np.ndarray:
    """Return the true label id (n,) uint8 of rows of a cache, 255 where there is none.

    Args:
        image: (n,) the number of each row's image.
        position: (n, 2) its place (y, x) on the feature map of the image as it is.
        names: the id of each image.
        masks: folder of the held masks, `<id>.png`.
    """
    truth = np.empty(len(image), np.uint8)
    for number in np.unique(image):
        own = image == number
        y, x = position[own].T
        truth[own] = sampling.label_cells(image_files.read_mask(masks / f"{names[number]}.png"))[y, x]
    return truth
