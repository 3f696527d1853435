"""Reading one array from a file of any common format, without running code from it."""

import math
import pathlib
import zipfile
import zlib

import numpy as np

from zeroshot.base import errors, user_files
from zeroshot.words import pickles

# Limit of a file and of the array in it, since a small compressed file may hold a huge one. A class matrix of the largest number of
# classes, 65,534, with 300 numbers of 8 bytes in each has 150 MiB.
MAX_BYTES = 256 * 2**20
# Version of the .npy format -> reader of its header. Version 3 is for names of fields, which an array of numbers lacks.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
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
        array = np.array(map_npy(path))
    elif head.startswith(b"PK\x03\x04"):
        array = _read_npz(path)
    elif path.suffix in PICKLE_SUFFIXES or head.startswith(b"\x80"):
        array = _read_pickle(path)
    else:
        array = _read_text(path)
    if array.dtype.kind not in "fiub":
        raise ArrayError(f"{path}: contains an array of type {array.dtype}; only numbers are read")
    return array


def map_npy(path: str | pathlib.Path) -> np.ndarray:
    """Memory-map the `.npy` file at `path` read-only, without loading it.

    Raises:
        ArrayError: if it is not an `.npy` file, contains Python objects, or is shorter than its header claims.
        user_files.FileError: if the file cannot be opened.
    """
    user_files.head(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ArrayError(f"{path}: is not a readable .npy file ({error})") from None


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
    except (ValueError, LookupError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ArrayError(f"{path}: is not a readable .npz file ({error})") from None
    listing = ", ".join(name.removesuffix(".npy") for name in names) or "none"
    raise ArrayError(f"{path}: must contain exactly one array; found {listing}. Save that array alone with numpy.save")


def _read_pickle(path: pathlib.Path) -> np.ndarray:
    value = pickles.read(path)
    if not isinstance(value, pickles.Array):
        raise ArrayError(f"{path}: must be a pickled ndarray; found {type(value).__name__}. Save it with numpy.save")
    return value.value


def _read_text(path: pathlib.Path) -> np.ndarray:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return np.loadtxt((line.replace(",", " ") for line in file), ndmin=2)
    except ValueError as error:
        raise ArrayError(f"{path}: is not .npy, .npz or a pickle, and not a text table of numbers: {error}") from None
