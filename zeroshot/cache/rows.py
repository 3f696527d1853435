"""Shards of sampled pixels (rows): features sorted by class, with the class, image, position and weight of each row."""

import itertools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from zeroshot.base import hdf5, storage
from zeroshot.cache import index as shard_index
from zeroshot.cache import stored_features
from zeroshot.images import label_ids

# Name of each column -> dtype, and shape of one row.
COLUMNS = {
    "label": (label_ids.DTYPE, ()),
    "image": (np.int32, ()),
    "view": (np.uint8, ()),
    "position": (np.uint16, (2,)),
    "component": (np.int32, ()),
    "weight": (np.float32, ()),
}
UNLABELLED = label_ids.IGNORE_INDEX
# Size of one row without its feature.
ROW_BYTES = sum(np.dtype(dtype).itemsize * int(np.prod(shape)) for dtype, shape in COLUMNS.values())

Rows = dict[str, np.ndarray]


def write(path: pathlib.Path, rows: Rows, storage_format: stored_features.Storage = "float16") -> None:
    """Write one shard. Rows are sorted by class, and within a class they stay in the given order.

    Args:
        path: the file, replaced as a whole.
        rows: `features` (n, d) float16 and the columns of `COLUMNS`: `label` (`UNLABELLED`: none), `image` (number in the index),
            `view` (number of the augmented pass), `position` (y, x) on the feature map, `component` (connected component of equal
            labels within the image, 0: unlabelled), `weight` (number of cells of the feature map that the row represents).
        storage_format: the number format of the features in the file.
    """
    order = np.argsort(rows["label"], kind="stable")
    with storage.replacing(path) as temporary:
        with hdf5.writing(temporary) as file:
            stored_features.write(file, rows["features"][order], storage_format)
            for name, (dtype, _) in COLUMNS.items():
                file.create_dataset(name, data=rows[name][order], dtype=dtype, track_times=False)
        shard_index.check_written(temporary, len(order))


def counts(index: shard_index.Index) -> np.ndarray:
    """Return the number of rows of each class, (C,) int64."""
    return _counts([shard.get("offsets", []) for shard in index.shards], len(index.classes))


def _counts(offsets: Sequence[Sequence[int]], n_groups: int) -> np.ndarray:
    """Return the number of rows (n_groups,) int64 of each group, of the offsets (n_groups + 1) of each shard."""
    table = np.array(offsets, dtype=np.int64).reshape(len(offsets), n_groups + 1)
    return np.diff(table, axis=1).sum(axis=0)


def read(folder: str | pathlib.Path) -> Iterator[Rows]:
    """Yield the rows of a cache, `features` (n, d) float16 and all columns, one shard at a time, in the order of the index.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    folder = pathlib.Path(folder)
    for shard in shard_index.read(folder, "rows").shards:
        with hdf5.reading(shard_index.verify(folder, shard)) as file:
            yield {"features": stored_features.read(file), **{name: file[name][:] for name in COLUMNS}}


def sample(folder: str | pathlib.Path, per_class: int, seed: int, ignored: bool = False) -> Rows:
    """Sample at most `per_class` rows of every class, without replacement, from all images together.

    Peak memory is the size of the result, twice one class of one shard in float16, and the columns of one shard without its features.
    It does not depend on the size of the cache.

    Args:
        folder: a cache of rows.
        per_class: largest number of rows of one class.
        seed: the only source of randomness; a class's rows do not depend on the other classes.
        ignored: sample rows of ignored pixels too, as one more class, whose `label` is `UNLABELLED`.

    Returns:
        `features` (n, d) float16, `label`, `image`, `view`, `component` and `weight` (n,), sorted by class. The weights of a
        class are scaled up to the sum of the weights of all its rows, which is its number of cells.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    folder = pathlib.Path(folder)
    index = shard_index.read(folder, "rows")
    # Rows are sorted by label, and that of ignored pixels is the largest.
    offsets = [[*shard.get("offsets", []), *([shard["rows"]] if ignored else [])] for shard in index.shards]
    totals = _counts(offsets, len(index.classes) + ignored)
    chosen = [_choose(total, per_class, seed, label) for label, total in enumerate(totals)]
    first = np.cumsum([0, *map(len, chosen)])
    if first[-1] == 0:
        raise shard_index.ShardError(f"{folder}: has no labelled row")
    result = {"features": np.empty((first[-1], index.dim), np.float16)}
    result |= {
        name: np.empty(first[-1], COLUMNS[name][0]) for name in ("label", "image", "view", "component", "weight")
    }
    n_before = np.zeros(len(totals), dtype=np.int64)
    cells = np.zeros(len(totals))
    for shard, starts in zip(index.shards, offsets, strict=True):
        with hdf5.reading(shard_index.verify(folder, shard)) as file:
            # Features are read class by class, because those of a whole shard may not fit in memory.
            columns = {name: file[name][:] for name in result if name != "features"}
            for label, (start, stop) in enumerate(itertools.pairwise(starts)):
                low, high = np.searchsorted(chosen[label], [n_before[label], n_before[label] + stop - start])
                row_numbers = chosen[label][low:high] - n_before[label]
                n_before[label] += stop - start
                cells[label] += columns["weight"][start:stop].sum(dtype=np.float64)
                if not len(row_numbers):
                    continue
                target = slice(first[label] + low, first[label] + high)
                for name, column in columns.items():
                    result[name][target] = column[start:stop][row_numbers]
                if len(row_numbers) == stop - start:
                    stored_features.read_into(file, slice(start, stop), result["features"][target])
                else:
                    result["features"][target] = stored_features.read(file, slice(start, stop))[row_numbers]
        # Those of the next shard would be read while these are in memory.
        del columns
    for label in np.flatnonzero(totals):
        weights = result["weight"][first[label] : first[label + 1]]
        weights *= cells[label] / weights.sum(dtype=np.float64)
    return result


def keep(table: Rows, chosen: np.ndarray) -> Rows:
    """Return the rows of a table that are `chosen`, a mask (n,) bool or row numbers."""
    return {name: column[chosen] for name, column in table.items()}


def presence(folder: str | pathlib.Path) -> np.ndarray:
    """Return which classes each image of a cache of labelled rows shows, (n_images, C) bool, from its index alone.

    Raises:
        shard_index.ShardError: if the cache is missing or truncated, or its rows have no labels.
    """
    index = shard_index.read(folder, "rows")
    if index.presence is None:
        raise shard_index.ShardError(
            f"{folder}: the index has no list of the classes of each image; give a cache of labelled rows"
        )
    present = np.zeros((len(index.images), len(index.classes)), bool)
    for image, labels in enumerate(index.presence):
        present[image, labels] = True
    return present


def _choose(total: int, per_class: int, seed: int, label: int) -> np.ndarray:
    rng = np.random.default_rng([seed, label])
    return np.sort(rng.choice(total, size=min(total, per_class), replace=False))
