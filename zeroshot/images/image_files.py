"""Reading images and label masks from untrusted files, and writing label masks."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps

from zeroshot.base import errors, storage, text_files
from zeroshot.images import label_ids

# The header of a small file can claim any size. 64 megapixels are far above a photograph and take 192 MiB when decoded.
MAX_PIXELS = 64 * 2**20
# Pillow tries only these decoders, whatever the file's suffix.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
# EXIF orientations that swap height and width.
_SWAPPED = (5, 6, 7, 8)
# Modes with 16 bits of grey, and modes whose range of values is not known.
_GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N")
_UNBOUNDED = ("I", "F")


class ImageError(errors.UserError):
    """Raised if a file cannot be used as an image or a mask; the text names the file and the cause."""


def read_image(path: str | pathlib.Path, over_white: bool = True) -> np.ndarray:
    """Read a JPEG, PNG, BMP, TIFF or WebP image; grey, palette and CMYK images are converted to RGB, and 16 bits to 8.

    Args:
        path: the file.
        over_white: lay transparent pixels over white, as programs display them; False: return their stored colours.

    Returns:
        (H, W, 3) uint8, turned by the EXIF orientation, as programs display and annotate it.

    Raises:
        ImageError: if the file is missing, broken, of another format, of 32 bits per channel, or above `MAX_PIXELS`.
    """
    image = decode(path)
    if image.mode in _UNBOUNDED:
        raise ImageError(f"{path}: has 32 bits per channel (mode {image.mode}); convert it to 8 or 16 bits")
    if image.mode in _GREY_16:
        image = PIL.Image.fromarray((np.asarray(image).astype(np.uint16) // 257).astype(np.uint8))
    if image.has_transparency_data and over_white:
        colours = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", colours.size, "white"), colours)
    return np.array(image.convert("RGB"))


def read_mask(path: str | pathlib.Path) -> np.ndarray:
    """Read the label ids of a palette PNG or a grey PNG of 8 or 16 bits.

    Returns:
        (H, W) uint16, turned by the EXIF orientation if there is one; `label_ids.IGNORE_INDEX` where an 8-bit file has 255 or a 16-bit
        file has 65535.

    Raises:
        ImageError: for the reasons of `read_image`, or if the file stores colours instead of label ids.
    """
    return read_coloured_mask(path)[0]


def read_coloured_mask(path: str | pathlib.Path) -> tuple[np.ndarray, dict[int, list[int]] | None]:
    """Return what `read_mask` returns, and the palette: the colour [R, G, B] of each label id; None for a grey PNG."""
    stored, palette = read_stored_ids(path)
    mask = stored.astype(label_ids.DTYPE)
    if stored.dtype == np.uint8:
        mask[stored == label_ids.IGNORE_IN_8_BITS] = label_ids.IGNORE_INDEX
    if palette is not None:
        palette[label_ids.IGNORE_INDEX] = palette.pop(label_ids.IGNORE_IN_8_BITS)
    return mask, palette


def read_stored_ids(path: str | pathlib.Path) -> tuple[np.ndarray, dict[int, list[int]] | None]:
    """Read the values that a palette or grey PNG stores; files and errors are those of `read_mask`.

    Returns:
        The values, (H, W) uint8 or uint16 as in the file, turned by the EXIF orientation if there is one; and the palette: the colour
        [R, G, B] of each value from 0 to 255, or None for a grey PNG.
    """
    image = decode(path)
    if image.format != "PNG":
        raise ImageError(f"{path}: is a {image.format} file; a mask must be a PNG, whose labels are exact")
    if image.mode not in ("P", "L", "I;16") or image.info["stored_as"] in ("L;2", "L;4"):
        raise ImageError(
            f"{path}: mode {image.mode} ({image.info['stored_as']}) stores no label ids; "
            "a mask must be a palette PNG or a grey PNG of 8 or 16 bits whose values are the labels"
        )
    stored = np.array(image)
    if image.mode != "P":
        return stored, None
    values = image.getpalette() or []
    # Black beyond the last colour.
    colours = np.zeros((256, 3), np.uint8)
    colours.reshape(-1)[: len(values)] = values
    return stored, dict(enumerate(colours.tolist()))


def decode(path: str | pathlib.Path, formats: tuple[str, ...] = FORMATS) -> PIL.Image.Image:
    """Decode an image of one of the formats, Pillow's names, and turn it upright.

    Returns:
        the image in its own mode; `info["stored_as"]` is the raw mode of its pixels.

    Raises:
        ImageError: if the file is missing, broken, of another format, or above `MAX_PIXELS`.
    """
    with _open(path, formats) as image:
        # WebP has no tiles.
        stored_as: Any = image.tile[0][3] if image.tile else image.mode
        image.load()
        # Broken EXIF data tell no orientation. Pillow raises many types of errors there.
        with contextlib.suppress(Exception):
            PIL.ImageOps.exif_transpose(image, in_place=True)
        image.info["stored_as"] = stored_as if isinstance(stored_as, str) else stored_as[0]
        return image


def read_size(path: str | pathlib.Path) -> tuple[int, int]:
    """Return the height and width of an image as `read_image` returns it. Of a JPEG only the header is read.

    Raises:
        ImageError: if the file is missing, has no readable header, or is above `MAX_PIXELS`.
    """
    with _open(path) as image:
        orientation = 1
        with contextlib.suppress(Exception):  # As in `decode`.
            orientation = image.getexif().get(PIL.ExifTags.Base.Orientation, 1)
        width, height = image.size
    return (width, height) if orientation in _SWAPPED else (height, width)


def write_mask(path: str | pathlib.Path, mask: np.ndarray, colours: np.ndarray | None = None) -> None:
    """Write label ids so that `read_mask` returns them; equal masks give equal bytes.

    A mask whose label ids are all below 255 becomes an 8-bit palette PNG, with 255 for ignored pixels. Any other mask becomes a 16-bit
    grey PNG.

    Args:
        path: the file to make or replace.
        mask: (H, W) uint16.
        colours: (n, 3) uint8, the colours of the first label ids; the others, or all if it is None, have VOC's colours.

    Raises:
        ValueError: if `mask` is not a two-dimensional uint16 array.
    """
    if mask.dtype != label_ids.DTYPE or mask.ndim != 2:
        raise ValueError(f"{path}: a mask must be (H, W) uint16, found {mask.shape} {mask.dtype}")
    ignored = mask == label_ids.IGNORE_INDEX
    if np.all(ignored | (mask < label_ids.IGNORE_IN_8_BITS)):
        stored = np.where(ignored, label_ids.IGNORE_IN_8_BITS, mask).astype(np.uint8)
        image = PIL.Image.fromarray(stored)
        table = label_ids.palette()[[*range(label_ids.IGNORE_IN_8_BITS), label_ids.IGNORE_INDEX]]
        if colours is not None:
            chosen = colours[: label_ids.IGNORE_IN_8_BITS]
            table[: len(chosen)] = chosen
        image.putpalette(table.tobytes())
    else:
        image = PIL.Image.fromarray(np.ascontiguousarray(mask))
    with storage.writing(path, flush=False) as file:
        image.save(file, format="PNG")


@contextlib.contextmanager
def _open(path: str | pathlib.Path, formats: tuple[str, ...] = FORMATS) -> Iterator[PIL.ImageFile.ImageFile]:
    """Yield an image whose header is read and whose size is allowed; explain errors while it is open."""
    try:
        text_files.check_regular(path)
        with PIL.Image.open(path, formats=formats) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ImageError(
                    f"{path}: claims {width} x {height} pixels; more than {MAX_PIXELS:,} are refused as an image bomb"
                )
            yield image
    except ImageError:
        raise
    except text_files.TextError as error:
        raise ImageError(str(error)) from None
    except PIL.UnidentifiedImageError:
        raise ImageError(f"{path}: cannot be decoded: is no {', '.join(formats[:-1])} or {formats[-1]} file") from None
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f"{path}: refused as an image bomb: {error}") from None
    except Exception as error:  # A decoder may raise anything on a broken file.
        raise ImageError(f"{path}: cannot be decoded: {error or type(error).__name__}") from error
