"""Reading pictures and label masks from untrusted files, and writing label masks."""

import pathlib
from typing import Any

import numpy as np
import PIL.Image

from zeroshot.base import errors, storage
from zeroshot.images import label_ids

# A file of a few kilobytes can claim any size; 64 Mpx is far above a photograph and 192 MiB once decoded.
MAX_PIXELS = 64 * 2**20
# Only these decoders are tried, whatever a file claims to be.
_FORMATS = ("JPEG", "PNG")
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


class ImageError(errors.UserError):
    """Raised when a file cannot be used as a picture or a mask; the text names the file and the cause."""


def read_image(path: str | pathlib.Path) -> np.ndarray:
    """Read a JPEG or PNG picture; grey, palette, CMYK and transparent ones are converted to RGB.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: if the file is missing, broken, of another format, deeper than 8 bits, or above `MAX_PIXELS`.
    """
    picture = _decode(path)
    if picture.mode in _DEEP_MODES:
        raise ImageError(f"{path}: has more than 8 bits per channel (mode {picture.mode}); convert it to 8 bits")
    return np.array(picture.convert("RGB"))


def read_mask(path: str | pathlib.Path) -> np.ndarray:
    """Read the label ids of a palette or 8-bit grey PNG, as they are stored, never as colours.

    Returns:
        (H, W) uint8.

    Raises:
        ImageError: as `read_image`, and if the pixels of the file are colours and not indices.
    """
    picture = _decode(path)
    if picture.format != "PNG":
        raise ImageError(f"{path}: is a {picture.format} file; a mask must be a PNG, whose labels are exact")
    if picture.mode not in ("P", "L") or picture.info["stored_as"] in ("L;2", "L;4"):
        raise ImageError(
            f"{path}: mode {picture.mode} ({picture.info['stored_as']}) holds no label ids; "
            "a mask must be a palette PNG or an 8-bit grey PNG whose values are the labels"
        )
    return np.array(picture)


def read_size(path: str | pathlib.Path) -> tuple[int, int]:
    """Return the height and width that the header of a picture states, without decoding it.

    Raises:
        ImageError: if the file is missing or has no readable header.
    """
    try:
        with PIL.Image.open(path, formats=_FORMATS) as picture:
            return picture.height, picture.width
    except Exception as error:  # A decoder may raise anything on a broken file.
        raise ImageError(f"{path}: cannot be decoded: {error or type(error).__name__}") from error


def write_mask(path: str | pathlib.Path, mask: np.ndarray) -> None:
    """Write label ids as a palette PNG in VOC's colours; the same mask gives the same bytes.

    Args:
        path: the file to make or replace.
        mask: (H, W) uint8.

    Raises:
        ValueError: if `mask` is not a two-dimensional uint8 array.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"{path}: a mask must be (H, W) uint8, found {mask.shape} {mask.dtype}")
    picture = PIL.Image.fromarray(np.ascontiguousarray(mask))
    picture.putpalette(label_ids.palette().tobytes())
    with storage.writing(path, flush=False) as file:
        picture.save(file, format="PNG")


def _decode(path: str | pathlib.Path) -> PIL.Image.Image:
    """Decode a whole file, its size checked first; `info["stored_as"]` is the raw mode of its pixels."""
    try:
        with PIL.Image.open(path, formats=_FORMATS) as picture:
            width, height = picture.size
            if width * height <= MAX_PIXELS:
                stored_as: Any = picture.tile[0][3]
                picture.load()
                picture.info["stored_as"] = stored_as if isinstance(stored_as, str) else stored_as[0]
                return picture
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except PIL.UnidentifiedImageError:
        raise ImageError(f"{path}: cannot be decoded: is neither a JPEG nor a PNG") from None
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f"{path}: refused as an image bomb: {error}") from None
    except Exception as error:  # A decoder may raise anything on a broken file.
        raise ImageError(f"{path}: cannot be decoded: {error or type(error).__name__}") from error
    raise ImageError(f"{path}: claims {width} x {height} pixels; more than {MAX_PIXELS:,} are refused as an image bomb")
