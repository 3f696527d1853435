"""The features of a shard on the disk: as float16, or as codes of 8 bits with a step for each dimension."""

from typing import Literal

import h5py
import numpy as np

from zeroshot.base import hdf5

Storage = Literal["float16", "int8"]

# Datasets of a shard: features in float16, or codes and steps. So what knows features alone does not read codes as if they were features.
_FEATURES, _CODES, _STEP = "features", "codes", "step"
# Largest magnitude of a code.
_LARGEST = 127
# Rows that are converted together, so that their wider numbers stay in the processor's cache.
_ROWS = 4096


def bytes_of_number(storage: Storage) -> int:
    """Return the size of one number of a feature."""
    return np.dtype(storage).itemsize


def write(file: h5py.File, features: np.ndarray, storage: Storage) -> None:
    """Write the features of a shard.

    In int8, the step of a dimension is its largest magnitude in this shard divided by 127 (1 if all are 0), and codes are the nearest
    multiples. So features that are never negative, as those behind a ReLU, have 7 bits.

    Args:
        file: the open shard. It gets `features` (n, d) float16, or `codes` (n, d) int8 and `step` (d,) float32.
        features: (n, d) float16, finite.
        storage: the number format.
    """
    if storage == "float16":
        file.create_dataset(_FEATURES, data=features, dtype=np.float16, track_times=False)
        return
    largest = np.maximum(features.max(axis=0, initial=0), -features.min(axis=0, initial=0)).astype(np.float32)
    step = np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)
    codes = np.empty(features.shape, np.int8)
    for start in range(0, len(features), _ROWS):
        codes[start : start + _ROWS] = np.rint(features[start : start + _ROWS] / step)
    file.create_dataset(_CODES, data=codes, track_times=False)
    file.create_dataset(_STEP, data=step, track_times=False)


def storage_of(file: hdf5.File) -> Storage:
    """Return the number format of an open shard."""
    return "int8" if _CODES in file else "float16"


def n_rows(file: hdf5.File) -> int:
    """Return the number of features in an open shard."""
    return len(file[_dataset(file)])


def read(file: hdf5.File, part: slice = slice(None)) -> np.ndarray:
    """Return the features (m, d) float16 of consecutive rows."""
    stored = file[_dataset(file)][part]
    return stored if storage_of(file) == "float16" else _decoded(stored, file, np.empty(stored.shape, np.float16))


def read_into(file: hdf5.File, part: slice, target: np.ndarray) -> None:
    """Read the features of consecutive rows into `target` (m, d) float16, which is contiguous; float16 without another copy."""
    if storage_of(file) == "float16":
        file[_FEATURES].read_direct(target, part, slice(0, len(target)))
    else:
        _decoded(file[_CODES][part], file, target)


def _dataset(file: hdf5.File) -> str:
    return _FEATURES if storage_of(file) == "float16" else _CODES


def _decoded(codes: np.ndarray, file: hdf5.File, target: np.ndarray) -> np.ndarray:
    step = file[_STEP][:]
    for start in range(0, len(codes), _ROWS):
        target[start : start + _ROWS] = codes[start : start + _ROWS] * step
    return target
