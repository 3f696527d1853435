"""Reading one array from a file of any common format, without running code from it."""

import math
import pathlib
import re
import zipfile
from collections.abc import Iterable, Iterator

import numpy as np

from zeroshot.base import errors, user_files
from zeroshot.words import pickles

# Limit of a file and of the array in it, since a small compressed file may hold a huge one. A class matrix of the largest number of
# classes, 65,534, with 300 numbers of 8 bytes in each has 150 MiB.
MAX_BYTES = 256 * 2**20
# Version of the .npy format -> reader of its header. Version 3 is for names of fields, which an array of numbers lacks.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# Two numbers with only white space, or with a semicolon, between them.
_OTHER_SEPARATOR = re.compile(r"[^\s,]\s+[^\s,]|;")
PICKLE_SUFFIXES = (".pkl", ".pickle", ".p")


class ArrayError(errors.UserError):
    """Raised if a file does not contain exactly one array of numbers."""


def read(path: str | pathlib.Path) -> np.ndarray:
    """Read the only array in a `.npy`, `.npz`, pickled or text file.

    The content decides the format; only a pickle of protocol 0 or 1 needs a suffix such as `.pkl`. An `.npz` must contain exactly one
    array, a pickle exactly one ndarray. Text has one row per line, with numbers separated by white space or commas; `#` starts a comment.

    Returns:
        An array of numbers, with the shape and dtype of the file (float64, two-dimensional for text).

    Raises:
        ArrayError: if the file cannot be read as one array of numbers, or if the file or the array has more than `MAX_BYTES`.
        user_files.FileError: if the file cannot be opened.
    """
    path = pathlib.Path(path)
    head = user_files.head(path)
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise ArrayError(
            f"{path}: has {size:,} bytes; needed is an array of at most {MAX_BYTES:,}. For word vectors set embeddings.source: vectors"
        )
    if head.startswith(b"\x93NUMPY"):
        # Memory-mapping compares the header's shape with the file's size, so a forged header allocates no memory.
        array = _read_npy(path)
    elif head.startswith(b"PK\x03\x04"):
        array = _read_npz(path)
    elif path.suffix in PICKLE_SUFFIXES or head.startswith(b"\x80"):
        array = _read_pickle(path)
    else:
        array = _read_text(path)
    if array.dtype.kind not in "fiub":
        raise ArrayError(f"{path}: contains an array of type {array.dtype}; only numbers are read")
    return array


def _read_npy(path: pathlib.Path) -> np.ndarray:
    try:
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # numpy parses the header as Python text and may raise anything on a broken one.
        raise ArrayError(_unreadable(path, ".npy", error)) from error


def _read_npz(path: pathlib.Path) -> np.ndarray:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) == 1:
                with archive.open(names[0]) as file:
                    shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
                    n_bytes = math.prod(shape) * dtype.itemsize
                    if n_bytes > MAX_BYTES:
                        raise ArrayError(
                            f"{path}: its array of shape {shape} has {n_bytes:,} bytes; at most {MAX_BYTES:,} are read"
                        )
                    file.seek(0)
                    return np.lib.format.read_array(file, allow_pickle=False)
    except ArrayError:
        raise
    except Exception as error:  # As in `_read_npy`.
        raise ArrayError(_unreadable(path, ".npz", error)) from error
    listing = ", ".join(name.removesuffix(".npy") for name in names) or "none"
    raise ArrayError(f"{path}: must contain exactly one array; found {listing}. Save that array alone with numpy.save")


def _unreadable(path: pathlib.Path, suffix: str, error: Exception) -> str:
    cause = " ".join(str(error).split()) or type(error).__name__
    return f"{path}: is not a readable {suffix} file of numbers ({cause}); save the array again with numpy.save"


def _read_pickle(path: pathlib.Path) -> np.ndarray:
    value = pickles.read(path)
    if not isinstance(value, pickles.Array):
        raise ArrayError(f"{path}: must be a pickled ndarray; found {type(value).__name__}. Save it with numpy.save")
    return value.value


def _read_text(path: pathlib.Path) -> np.ndarray:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return np.loadtxt(_separated(file, path), ndmin=2)
    except ArrayError:
        raise
    except ValueError as error:
        raise ArrayError(f"{path}: is not .npy, .npz or a pickle, and not a text table of numbers: {error}") from None


def _separated(lines: Iterable[str], path: pathlib.Path) -> Iterator[str]:
    """Yield lines with white space between the numbers.

    Raises:
        ArrayError: if a line has commas and another separator too, since its commas may be decimal ones.
    """
    for number, line in enumerate(lines, 1):
        content = line.partition("#")[0]
        if "," in content and _OTHER_SEPARATOR.search(content):
            raise ArrayError(
                f"{path}: line {number} separates numbers by commas and by something else, or has decimal commas; write decimal points "
                f"(0.1, not 0,1) and one separator, white space or commas: {content.strip()[:60]!r}"
            )
        yield content.replace(",", " ")
