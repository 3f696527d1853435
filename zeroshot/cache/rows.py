"""Shards of sampled pixels: features sorted by class, with the class, image, place and weight of each."""

import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from zeroshot.base import hdf5, storage
from zeroshot.cache import index as shard_index
from zeroshot.images import label_ids

# name of the column -> dtype and length of a row
COLUMNS = {
    "label": (np.uint8, ()),
    "image": (np.int32, ()),
    "view": (np.uint8, ()),
    "position": (np.uint16, (2,)),
    "component": (np.int32, ()),
    "weight": (np.float32, ()),
}
UNLABELLED = label_ids.IGNORE_INDEX
ROW_BYTES = sum(np.dtype(dtype).itemsize * int(np.prod(shape)) for dtype, shape in COLUMNS.values())

Rows = dict[str, np.ndarray]


def write(path: pathlib.Path, rows: Rows) -> None:
    """Write one shard, rows sorted by class and otherwise in the order given.

    Args:
        path: the file, replaced as a whole.
        rows: `features` (n, d) float16 and the columns of `COLUMNS`: `label` (255: none), `image` (number in the index),
            `view` (which augmented pass), `position` (y, x) on the feature map, `component` (connected component of equal
            labels within the image, 0: none), `weight` (how many cells of the map the row stands for).
    """
    order = np.argsort(rows["label"], kind="stable")
    with storage.replacing(path) as temporary:
        with h5py.File(temporary, "w") as file:
            file.create_dataset("features", data=rows["features"][order], dtype=np.float16, track_times=False)
            for name, (dtype, _) in COLUMNS.items():
                file.create_dataset(name, data=rows[name][order], dtype=dtype, track_times=False)
        shard_index.check_written(temporary, len(order))


def counts(index: shard_index.Index) -> np.ndarray:
    """Return the number of rows of each class, (C,) int64."""
    offsets = np.array([shard["offsets"] for shard in index.shards], dtype=np.int64)
    return np.diff(offsets.reshape(len(index.shards), len(index.classes) + 1), axis=1).sum(axis=0)


def read(folder: str | pathlib.Path) -> Iterator[Rows]:
    """Yield the rows of a cache, `features` (n, d) float16 and all columns, one shard at a time, in the order of the index.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    folder = pathlib.Path(folder)
    for shard in shard_index.read(folder, "rows").shards:
        with hdf5.reading(shard_index.verify(folder, shard)) as file:
            yield {name: file[name][:] for name in ("features", *COLUMNS)}


def sample(folder: str | pathlib.Path, per_class: int, seed: int) -> Rows:
    """Draw at most `per_class` rows of every class, without replacement, from all images together.

    Peak memory is that of the answer and twice one class in one shard, whatever the size of the cache.

    Args:
        folder: a cache of rows.
        per_class: the most rows of one class.
        seed: the only source of randomness; a class's rows do not depend on the other classes.

    Returns:
        `features` (n, d) float16, `label`, `image`, `view`, `component` and `weight` (n,), sorted by class; a class's weights
        are scaled up so that their sum is that of all its rows, the number of its cells.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    folder = pathlib.Path(folder)
    index = shard_index.read(folder, "rows")
    totals = counts(index)
    chosen = [_choose(total, per_class, seed, label) for label, total in enumerate(totals)]
    first = np.cumsum([0, *map(len, chosen)])
    if first[-1] == 0:
        raise shard_index.ShardError(f"{folder}: holds no labelled row")
    answer = {"features": np.empty((first[-1], index.dim), np.float16)}
    answer |= {
        name: np.empty(first[-1], COLUMNS[name][0]) for name in ("label", "image", "view", "component", "weight")
    }
    passed = np.zeros(len(totals), dtype=np.int64)
    cells = np.zeros(len(totals))
    for shard in index.shards:
        with hdf5.reading(shard_index.verify(folder, shard)) as file:
            for label, (start, stop) in enumerate(zip(shard["offsets"][:-1], shard["offsets"][1:], strict=True)):
                low, high = np.searchsorted(chosen[label], [passed[label], passed[label] + stop - start])
                wanted = chosen[label][low:high] - passed[label]
                passed[label] += stop - start
                cells[label] += file["weight"][start:stop].sum(dtype=np.float64)
                if len(wanted):
                    for name, column in answer.items():
                        column[first[label] + low : first[label] + high] = file[name][start:stop][wanted]
    for label in np.flatnonzero(totals):
        weights = answer["weight"][first[label] : first[label + 1]]
        weights *= cells[label] / weights.sum(dtype=np.float64)
    return answer


def keep(table: Rows, chosen: np.ndarray) -> Rows:
    """Return the rows of a table that are `chosen` (n,), as a mask or by number."""
    return {name: column[chosen] for name, column in table.items()}


def presence(folder: str | pathlib.Path) -> np.ndarray:
    """Return which images of a cache of labelled rows show which classes, (n_images, C) bool, from its index alone.

    Raises:
        shard_index.ShardError: if the cache is missing or truncated, or its rows have no labels.
    """
    index = shard_index.read(folder, "rows")
    if index.presence is None:
        raise shard_index.ShardError(f"{folder}: its index does not say which images show which classes")
    shown = np.zeros((len(index.images), len(index.classes)), bool)
    for image, labels in enumerate(index.presence):
        shown[image, labels] = True
    return shown


def _choose(total: int, per_class: int, seed: int, label: int) -> np.ndarray:
    rng = np.random.default_rng([seed, label])
    return np.sort(rng.choice(total, size=min(total, per_class), replace=False))
