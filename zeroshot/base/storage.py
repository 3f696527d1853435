"""Atomic writing of files, so that a reader never sees an incomplete one, and checksums."""

import contextlib
import csv
import glob
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from zeroshot.base import errors

MIB = 2**20


@contextlib.contextmanager
def replacing(path: str | pathlib.Path, flush: bool = True) -> Iterator[pathlib.Path]:
    """Yield a temporary path in the same folder; on success flush it to disk and rename it to `path`.

    An artefact may be a hard link into DVC's cache, so it is replaced, never opened for writing.
    On an exception the temporary file is removed and `path` is unchanged. Every call has a temporary file of its own.

    Args:
        path: the file to make or replace.
        flush: wait until the data are on disk. Use False for many small files that are quickly made again, because waiting takes
            far longer than writing.

    Raises:
        errors.DiskError: if the disk is full.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if flush:
        _remove_leftovers(path)
    temporary = _temporary(path)
    try:
        with reporting_full_disk(path):
            yield temporary
            if flush:
                with open(temporary, "rb") as file:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: str | pathlib.Path, flush: bool = True) -> Iterator[BinaryIO]:
    """Yield an open binary file that replaces `path` on success; for writers whose bytes depend on the file name (torch.save)."""
    with replacing(path, flush) as temporary, open(temporary, "wb") as file:
        yield file


@contextlib.contextmanager
def replacing_folder(folder: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield an empty temporary folder; on success it replaces `folder` and all its files.

    On an exception the temporary folder is removed and `folder` is unchanged. Every call has a temporary folder of its own.

    Raises:
        errors.DiskError: if the disk is full.
    """
    folder = pathlib.Path(folder)
    with temporary_folder(folder.parent, folder.name) as unfinished, reporting_full_disk(folder):
        yield unfinished
        old = _temporary(folder)
        if folder.exists():
            folder.rename(old)
        unfinished.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder(parent: str | pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    """Yield an empty folder `.name.*.tmp` in `parent` and remove it at the end; also remove those that killed processes left."""
    path = pathlib.Path(parent, name)
    _remove_leftovers(path)
    folder = _temporary(path)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def link_or_copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Make `target` a hard link to `source`, or a copy on a file system that has no hard link to it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def check_room(folder: str | pathlib.Path, n_bytes: int, what: str, advice: str) -> str:
    """Return a message with the number of bytes to write and the free disk space.

    Args:
        folder: where to write; it need not exist yet.
        n_bytes: how much.
        what: what is written, for the message.
        advice: what the user can do besides making room, for the message.

    Raises:
        errors.DiskError: if the free space is smaller than `n_bytes`.
    """
    free = _free_bytes(folder)
    message = f"{what}: {n_bytes / MIB:,.0f} MiB to write, {free / MIB:,.0f} MiB free in {folder}"
    if n_bytes > free:
        raise errors.DiskError(f"{message}; free some disk space, or {advice}")
    return message


@contextlib.contextmanager
def reporting_full_disk(path: pathlib.Path) -> Iterator[None]:
    """Turn the error of a full disk, which seldom names a file, into one that names `path`."""
    try:
        yield
    except Exception as error:
        if errors.full_disk(error) is None:
            raise
        raise errors.DiskError(
            f"{path}: cannot be written, because the disk is full or your quota is used up"
            f" ({_free_bytes(path.parent) / MIB:,.0f} MiB free in {path.parent}); free some disk space (docs/dvc.md) and run again"
        ) from error


def on_one_disk(one: str | pathlib.Path, other: str | pathlib.Path) -> bool:
    """Return whether two places, which need not exist yet, are on one file system."""
    return _existing(one).stat().st_dev == _existing(other).stat().st_dev


def _free_bytes(folder: str | pathlib.Path) -> int:
    return shutil.disk_usage(_existing(folder)).free


def _existing(path: str | pathlib.Path) -> pathlib.Path:
    """Return `path`, or its nearest parent that exists."""
    path = pathlib.Path(path).absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def _temporary(path: pathlib.Path) -> pathlib.Path:
    """Return a new name beside `path` that says which process of which machine uses it."""
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _machine() -> str:
    """Return a few letters for this machine or container; others may share the folder and have processes of the same numbers."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _remove_leftovers(path: pathlib.Path) -> None:
    """Remove what processes of this machine that have ended left beside `path` under names of `_temporary`."""
    start = f".{path.name}.{_machine()}-"
    for leftover in path.parent.glob(f"{glob.escape(start)}*-*.tmp"):
        pid = leftover.name.removeprefix(start).partition("-")[0]
        if pid.isdecimal() and not pathlib.Path("/proc", pid).exists():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def write_text(path: str | pathlib.Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with writing(path) as file:
        file.write(text.encode())


def write_json(path: str | pathlib.Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline.

    Raises:
        ValueError: if a number is NaN or infinite; write None instead.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(
    path: str | pathlib.Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Write rows as CSV; None is an empty cell.

    Args:
        path: the file to make or replace.
        rows: mappings from column to value; a missing column is an empty cell.
        columns: the columns in order. If None, those of the first row, then those that later rows add. Without rows and columns
            the file is one empty line.
    """
    if columns is None:
        columns = list(dict.fromkeys(column for row in rows for column in row))
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval=None, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class Curve:
    """A table of training epochs, rewritten after each epoch, so that `dvc plots show` displays a running stage.

    Attributes:
        rows: the rows of all epochs so far.
    """

    def __init__(self, path: str | pathlib.Path, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Start with the `rows` of an interrupted run, none by default, and write them again, because DVC removed the table."""
        self._path = path
        self.rows = list(rows)
        if self.rows:
            write_csv(path, self.rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add the row of an epoch and write the table."""
        self.rows.append(row)
        write_csv(self._path, self.rows)


def sha256(path: str | pathlib.Path) -> str:
    """Return the SHA-256 of the file at `path` as 64 hexadecimal digits.

    Raises:
        errors.UserError: if the file is missing.
    """
    with reporting_missing(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def reporting_missing(path: str | pathlib.Path) -> Iterator[None]:
    """Turn the error of a missing file, which was there when the stage began, into one for the user."""
    try:
        yield
    except FileNotFoundError as error:
        raise errors.UserError(
            f"{path}: {error.strerror}; put it back (`dvc checkout` does, if DVC made it), and run again"
        ) from error
