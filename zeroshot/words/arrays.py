"""One array from a file of any common kind, never running code from it."""

import pathlib
import zipfile

import numpy as np

from zeroshot.base import errors
from zeroshot.words import pickles

PICKLE_SUFFIXES = (".pkl", ".pickle", ".p")


class ArrayError(errors.UserError):
    """Raised when a file does not hold one array of numbers."""


def read(path: str | pathlib.Path) -> np.ndarray:
    """Read the only array in a `.npy`, `.npz`, pickled or text file.

    The kind is told by the content first: an `.npz` must hold exactly one array, a pickle exactly one ndarray; text is
    one row per line, separated by white space or commas, `#` starting a comment.

    Returns:
        An array of numbers, of the file's own shape and dtype (float64 for text).

    Raises:
        ArrayError: if the file cannot be read as one array of numbers.
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        head = file.read(6)
    if head.startswith(b"\x93NUMPY"):
        # Mapping compares the header's shape with the file's size, so a forged header allocates nothing.
        array = np.array(map_npy(path))
    elif head.startswith(b"PK\x03\x04"):
        array = _read_npz(path)
    elif path.suffix in PICKLE_SUFFIXES or head.startswith(b"\x80"):
        array = _read_pickle(path)
    else:
        array = _read_text(path)
    if array.dtype.kind not in "fiub":
        raise ArrayError(f"{path}: holds an array of type {array.dtype}; only numbers are read")
    return array


def map_npy(path: str | pathlib.Path) -> np.ndarray:
    """Map the `.npy` file at `path` read-only, without loading it.

    Raises:
        ArrayError: if it is no `.npy` file, holds Python objects, or is shorter than its header claims.
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
            held = ", ".join(archive.files) or "none"
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise ArrayError(f"{path}: is not a readable .npz file ({error})") from None
    raise ArrayError(f"{path}: must hold exactly one array; found {held}. Save the wanted one alone with numpy.save")


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
