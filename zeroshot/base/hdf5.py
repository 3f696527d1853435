"""Typed reading of HDF5 files, and writing that survives a full disk."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import h5py
import numpy as np

from zeroshot.base import errors, user_files

# A file in memory grows by this many bytes at a time.
_BLOCK_BYTES = 2**20


class HDF5Error(errors.UserError):
    """Raised if a file cannot be read as HDF5 or lacks a dataset; the text names the file, the cause and what to do."""


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

    def read_direct(self, dest: np.ndarray, source_sel: slice, dest_sel: slice) -> None:
        """Read a part into a part of an array, without another copy in memory."""
        ...


class File(Mapping[str, Column]):
    """An open file: its datasets by name, and its own attributes."""

    attrs: Mapping[str, Any]


@contextlib.contextmanager
def reading(path: str | pathlib.Path) -> Iterator[File]:
    """Open a file and yield its datasets by name; a dataset in a group is `group/name`.

    The file is not locked: an artefact is replaced as a whole and never changed, and network file systems refuse locks.

    Raises:
        HDF5Error: if the file is missing, damaged or not an HDF5 file; also for an OSError, a KeyError or a RuntimeError in the body of
            the `with`, which should do nothing but read: the file is damaged there, or it has no such dataset.
    """
    try:
        user_files.head(path)
        with h5py.File(path, "r", locking=False) as file:
            yield cast(File, file)
    except user_files.FileError as error:
        raise HDF5Error(f"{error}; {user_files.REMEDY}") from None
    except (OSError, KeyError, RuntimeError) as error:
        cause = error.args[0] if error.args else error
        raise HDF5Error(
            f"{path}: is damaged, or not the HDF5 file that is needed here: {cause}; {user_files.REMEDY}"
        ) from error


@contextlib.contextmanager
def writing(path: str | pathlib.Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file in memory, and write it to `path` at the end; the bytes are those that h5py would write.

    HDF5 keeps a file open whose last bytes do not fit on the disk, and the process ends in a segmentation fault. So only Python writes
    to the disk. Memory holds the file twice.

    Raises:
        OSError: if the file cannot be written, for example because the disk is full.
    """
    with h5py.File(path, "w", driver="core", backing_store=False, block_size=_BLOCK_BYTES) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    pathlib.Path(path).write_bytes(image)
