"""Which pixels the rounds of self-training after the first learnt from, under which labels: for the report of their precision."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence

import h5py
import numpy as np

from zeroshot.base import storage
from zeroshot.cache import rows

_COLUMNS = ("image", "view", "position", "weight", "label")


def kept(tables: Iterable[rows.Rows]) -> rows.Rows:
    """Return the rows of `cache.write`'s tables that were kept, without features: `image`, `view`, `position`, `weight`, `label`."""
    parts = [{name: table[name][table["kept"]] for name in _COLUMNS} for table in tables]
    empty = {name: np.zeros((0, *shape), dtype) for name, (dtype, shape) in rows.COLUMNS.items()}
    return {name: np.concatenate([empty[name], *(part[name] for part in parts)]) for name in _COLUMNS}


def write(path: pathlib.Path, tables: Sequence[rows.Rows]) -> None:
    """Write the tables of the second and later rounds, as `kept` gives them, in their order."""
    with storage.replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for number, table in enumerate(tables, 2):
            group = file.create_group(str(number))
            for name in _COLUMNS:
                dtype, _ = rows.COLUMNS[name]
                group.create_dataset(name, data=table[name], dtype=dtype, track_times=False)


def read(path: pathlib.Path) -> Mapping[int, rows.Rows]:
    """Return the table of each round, by its number from 2; empty if there was one round."""
    with h5py.File(path, "r") as file:
        return {number: {name: file[str(number)][name][:] for name in _COLUMNS} for number in sorted(map(int, file))}
