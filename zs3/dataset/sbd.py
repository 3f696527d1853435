"""Reading label masks of the Semantic Boundaries Dataset (SBD), which come as MATLAB files."""

import pathlib

import numpy as np
import scipy.io

from zs3 import images

# Real ones have a few kilobytes; zlib blows a file up at most a thousandfold, so this bounds memory at about 1 GiB.
MAX_BYTES = 2**20


def read_mask(path: str | pathlib.Path) -> np.ndarray:
    """Read `GTcls.Segmentation`, the label ids of one image. SBD marks no borders, so it holds no 255.

    Returns:
        (H, W) uint8.

    Raises:
        images.ImageError: if the file is missing, broken, absurdly large, or holds no such matrix.
    """
    path = pathlib.Path(path)
    try:
        size = path.stat().st_size
        content = scipy.io.loadmat(path, variable_names=["GTcls"], simplify_cells=True) if size <= MAX_BYTES else {}
    except FileNotFoundError:
        raise images.ImageError(f"{path}: no such file") from None
    except Exception as error:  # A decoder may raise anything on a broken file.
        raise images.ImageError(f"{path}: cannot be decoded: {error or type(error).__name__}") from error
    if size > MAX_BYTES:
        raise images.ImageError(f"{path}: has {size:,} bytes; masks above {MAX_BYTES:,} are refused as an image bomb")
    classes = content.get("GTcls")
    mask = classes.get("Segmentation") if isinstance(classes, dict) else None
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.uint8:
        raise images.ImageError(f"{path}: holds no two-dimensional uint8 matrix GTcls.Segmentation")
    if mask.size > images.MAX_PIXELS:
        raise images.ImageError(f"{path}: holds {mask.size:,} pixels; more than {images.MAX_PIXELS:,} are refused")
    return np.ascontiguousarray(mask)
