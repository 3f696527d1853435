"""Reading one variable of an untrusted MATLAB file in bounded memory."""

import pathlib
import struct
import zlib
from typing import Any

import numpy as np
import scipy.io

from zeroshot.base import text_files
from zeroshot.images import image_files

# Real masks have a few kilobytes.
MAX_BYTES = 2**20
# Limit of what a file contains after decompression, since zlib expands by a factor of up to 1000. A mask of 4,000 x 2,000 pixels of 2
# bytes stays below it.
MAX_UNPACKED = 16 * 2**20
# Version 5: a header of 128 bytes, whose last two tell the byte order, then elements with a tag: their type and number of bytes.
_HEADER, _TAG, _COMPRESSED = 128, 8, 15


def read(path: str | pathlib.Path, name: str) -> Any:
    """Read the variable `name` of a MATLAB file of version 5 (`-v6` or `-v7`), structs as dictionaries.

    Raises:
        image_files.ImageError: if the file is missing, broken or too large, or has no such variable.
    """
    path = pathlib.Path(path)
    try:
        size = text_files.check_regular(path)
        if size > MAX_BYTES:
            raise image_files.ImageError(
                f"{path}: has {size:,} bytes; masks above {MAX_BYTES:,} are refused as an image bomb"
            )
        if _unpacked_size(path.read_bytes()) > MAX_UNPACKED:
            raise image_files.ImageError(
                f"{path}: has more than {MAX_UNPACKED:,} bytes after decompression; it is refused as an image bomb"
            )
        variables = scipy.io.loadmat(path, variable_names=[name], simplify_cells=True)
        names = [] if name in variables else [variable for variable, _, _ in scipy.io.whosmat(path)]
    except image_files.ImageError:
        raise
    except text_files.TextError as error:
        raise image_files.ImageError(str(error)) from None
    except Exception as error:  # A decoder may raise anything on a broken file.
        raise image_files.ImageError(f"{path}: cannot be decoded: {error or type(error).__name__}") from error
    if name not in variables:
        raise image_files.ImageError(f"{path}: contains no variable {name}, only {', '.join(names) or 'none'}")
    return variables[name]


def _unpacked_size(content: bytes) -> int:
    """Return the number of bytes of the compressed elements after decompression; counting stops above `MAX_UNPACKED`."""
    tag = struct.Struct("<II" if content[_HEADER - 2 : _HEADER] == b"IM" else ">II")
    size, start = 0, _HEADER
    while start + _TAG <= len(content) and size <= MAX_UNPACKED:
        kind, length = tag.unpack_from(content, start)
        start += _TAG
        if kind == _COMPRESSED:
            # More than the limit is never unpacked.
            size += len(zlib.decompressobj().decompress(content[start : start + length], MAX_UNPACKED + 1))
        start += length
    return size


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
        image_files.ImageError: if it is not such a matrix.
    """
    allowed = " or ".join(dtype.__name__ for dtype in dtypes)
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype not in dtypes:
        raise image_files.ImageError(f"{path}: contains no two-dimensional {allowed} matrix {name}")
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
