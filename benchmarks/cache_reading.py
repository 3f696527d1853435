"""Reading one class, and a sample of all classes, from a cache of 15 shards beside memory-mapped arrays of numpy."""

import os
import pathlib
import tempfile
import time
from collections.abc import Iterator
from unittest import mock

import numpy as np

from benchmarks import timing
from zeroshot.base import checksums, hdf5
from zeroshot.cache import index, rows

_SHARDS, _CLASSES, _DIM = 15, 4, 256
# Rows of a class in a shard: as many as one of 128 MiB has of each of 20 classes.
_ROWS = 12_000
_CLASS = 2


def measure() -> Iterator[timing.Timing]:
    """Yield the figures; the cache takes 740 MB of disk until then, and is in the memory of the system."""
    with tempfile.TemporaryDirectory() as name, mock.patch.dict(os.environ):
        folder = pathlib.Path(name)
        _write(folder)
        # As in a stage: checksums are compared once.
        checksums.remember_in(folder / "checksums")
        time.sleep(checksums.SETTLED_SECONDS)
        reading, mapped = timing.fastest(lambda: _read(folder), lambda: _map(folder))
        yield timing.Timing(
            f"read one class from {_SHARDS} shards", reading, "memory-mapped numpy", mapped, "at most 1.5"
        )
        n_all = _SHARDS * _ROWS
        sampling, mapped = timing.fastest(
            lambda: rows.sample(folder, n_all, seed=0),
            lambda: [_map(folder, label) for label in range(_CLASSES)],
            rounds=3,
        )
        yield timing.Timing(
            f"read all rows of {_CLASSES} classes, sorted", sampling, "memory-mapped numpy", mapped, "at most 1.5"
        )
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name, "shard")
        path.write_bytes(bytes(128 * 2**20))
        summing, copying = timing.fastest(lambda: checksums.sha256(path), path.read_bytes, rounds=3)
        yield timing.Timing("checksum of a shard of 128 MiB, once for its version", summing, "read it", copying)


def _write(folder: pathlib.Path) -> None:
    random = np.random.default_rng(0)
    label = np.repeat(np.arange(_CLASSES, dtype=np.uint16), _ROWS)
    n = len(label)
    entries = []
    for number in range(_SHARDS):
        path = folder / f"{number:05d}.h5"
        table = {name: np.zeros((n, *shape), dtype) for name, (dtype, shape) in rows.COLUMNS.items()}
        features = random.random((n, _DIM), dtype=np.float32).astype(np.float16)
        rows.write(path, {**table, "features": features, "label": label, "weight": np.ones(n, np.float32)})
        np.save(path.with_suffix(".npy"), features)
        entries.append(index.entry(path, "rows", _CLASSES))
    names = [f"class {label}" for label in range(_CLASSES)]
    index.write(folder, index.Index("rows", _DIM, 4, names, ["image"], entries, {}, presence=[[*range(_CLASSES)]]))


def _read(folder: pathlib.Path) -> np.ndarray:
    """Return the features of one class."""
    shards = index.read(folder, "rows").shards
    ends = [shard.get("offsets", [])[_CLASS : _CLASS + 2] for shard in shards]
    features = np.empty((sum(stop - start for start, stop in ends), _DIM), np.float16)
    done = 0
    for shard, (start, stop) in zip(shards, ends, strict=True):
        with hdf5.reading(index.verify(folder, shard)) as file:
            file["features"].read_direct(features, slice(start, stop), slice(done, done + stop - start))
        done += stop - start
    return features


def _map(folder: pathlib.Path, label: int = _CLASS) -> np.ndarray:
    """Return the features of a class from the mapped arrays."""
    arrays = [np.load(folder / f"{number:05d}.npy", mmap_mode="r") for number in range(_SHARDS)]
    return np.concatenate([array[label * _ROWS : (label + 1) * _ROWS] for array in arrays])
