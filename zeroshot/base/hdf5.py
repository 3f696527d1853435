"""Reading HDF5 files, with types."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import h5py
import numpy as np


class Column(Protocol):
    """A dataset in a file; indexing it reads that part."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole."""
        ...

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Its attributes."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, part: Any) -> np.ndarray: ...


@contextlib.contextmanager
def reading(path: str | pathlib.Path) -> Iterator[Mapping[str, Column]]:
    """Yield the datasets of a file by name; those in a group as `group/name`.

    No lock is taken: an artefact is replaced as a whole, never changed, and network file systems refuse locks.

    Raises:
        OSError: if the file is missing or no HDF5 file.
    """
    with h5py.File(path, "r", locking=False) as file:
        yield cast(Mapping[str, Column], file)
