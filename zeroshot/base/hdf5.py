"""Typed reading of HDF5 files."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import h5py
import numpy as np


class Column(Protocol):
    """A dataset in a file; indexing reads a part of it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole dataset."""
        ...

    @property
    def attrs(self) -> Mapping[str, Any]:
        """The attributes of the dataset."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, part: Any) -> np.ndarray: ...


@contextlib.contextmanager
def reading(path: str | pathlib.Path) -> Iterator[Mapping[str, Column]]:
    """Open a file and yield its datasets by name; a dataset in a group is `group/name`.

    The file is not locked: an artefact is replaced as a whole and never changed, and network file systems refuse locks.

    Raises:
        OSError: if the file is missing or is not an HDF5 file.
    """
    with h5py.File(path, "r", locking=False) as file:
        yield cast(Mapping[str, Column], file)
