"""Reading one variable of an untrusted MATLAB file in bounded memory."""

import pathlib
from typing import Any

import numpy as np
import scipy.io

from zeroshot.images import image_files

# Real masks have a few kilobytes. zlib expands a file at most by a factor of about 1000, so this limits memory to about 1 GiB.
MAX_BYTES = 2**20


def read(path: str | pathlib.Path, name: str) -> Any:
    """Read the variable `name` of a MATLAB file of version 5 (`-v6` or `-v7`), structs as dictionaries.

    Raises:
        image_files.ImageError: if the file is missing, broken or too large, or has no such variable.
    """
    path = pathlib.Path(path)
    try:
        size = path.stat().st_size
        content = scipy.io.loadmat(path, variable_names=[name], simplify_cells=True) if size <= MAX_BYTES else {}
        variables = (
            [] if name in content or size > MAX_BYTES else [variable for variable, _, _ in scipy.io.whosmat(path)]
        )
    except FileNotFoundError:
        raise image_files.ImageError(f"{path}: no such file") from None
    except Exception as error:  # A decoder may raise anything on a broken file.
        raise image_files.ImageError(f"{path}: cannot be decoded: {error or type(error).__name__}") from error
    if size > MAX_BYTES:
        raise image_files.ImageError(
            f"{path}: has {size:,} bytes; masks above {MAX_BYTES:,} are refused as an image bomb"
        )
    if name not in content:
        raise image_files.ImageError(f"{path}: contains no variable {name}, only {', '.join(variables) or 'none'}")
    return content[name]


def check_mask(path: str | pathlib.Path, mask: Any, name: str, dtypes: tuple[type[np.integer], ...]) -> np.ndarray:
    """Return `mask` if it is a matrix of label ids.

    Args:
        path: the file, for messages.
        mask: the value that was read.
        name: name of the variable, for messages.
        dtypes: the allowed dtypes.

    Returns:
        (H, W) of one of `dtypes`, contiguous.

    Raises:
        image_files.ImageError: if it is not such a matrix, or above `image_files.MAX_PIXELS`.
    """
    allowed = " or ".join(dtype.__name__ for dtype in dtypes)
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype not in dtypes:
        raise image_files.ImageError(f"{path}: contains no two-dimensional {allowed} matrix {name}")
    if mask.size > image_files.MAX_PIXELS:
        raise image_files.ImageError(
            f"{path}: contains {mask.size:,} pixels; more than {image_files.MAX_PIXELS:,} are refused"
        )
    return np.ascontiguousarray(mask)


def read_sbd_mask(path: str | pathlib.Path) -> np.ndarray:
    """Read `GTcls.Segmentation`, the label ids of one image. SBD does not mark borders, so no pixel is ignored.

    Returns:
        (H, W) uint8.

    Raises:
        image_files.ImageError: if the file is missing, broken, too large, or has no such matrix.
    """
    classes = read(path, "GTcls")
    mask = classes.get("Segmentation") if isinstance(classes, dict) else None
    return check_mask(path, mask, "GTcls.Segmentation", (np.uint8,))
