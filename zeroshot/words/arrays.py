"""Reading one array from a file of any common format, without running code from it."""

import pathlib
import zipfile

import numpy as np

from zeroshot.base import errors
from zeroshot.words import pickles

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
        ArrayError: if the file cannot be read as one array of numbers.
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        head = file.read(6)
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
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ArrayError(f"{path}: is not a readable .npy file ({error})") from None


def _read_npz(path: pathlib.Path) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if len(archive.files) == 1:
                return archive[archive.files[0]]
            names = ", ".join(archive.files) or "none"
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise ArrayError(f"{path}: is not a readable .npz file ({error})") from None
    raise ArrayError(f"{path}: must contain exactly one array; found {names}. Save that array alone with numpy.save")


def _read_pickle(path: pathlib.Path) -> np.ndarray:
    value = pickles.read(path)
    if not isinstance(value, pickles.Array):
        raise ArrayError(f"{path}: must be a pickled ndarray; found {type(value).__name__}. Save it with numpy.save")
    return value.value


def _read_text(path: pathlib.Path) -> np.ndarray:
    try:
        with open(path, encoding="utf-8") as file:
            return np.loadtxt((line.replace(",", " ") for line in file), ndmin=2)
    except ValueError as error:
        raise ArrayError(f"{path}: is not .npy, .npz or a pickle, and not a text table of numbers: {error}") from None
