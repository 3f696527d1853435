"""Atomic writing of files, so that a reader never sees an incomplete one, and checksums."""

import contextlib
import csv
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO


@contextlib.contextmanager
def replacing(path: str | pathlib.Path, flush: bool = True) -> Iterator[pathlib.Path]:
    """Yield a temporary path in the same folder; on success flush it to disk and rename it to `path`.

    An artefact may be a hard link into DVC's cache, so it is replaced, never opened for writing.
    On an exception the temporary file is removed and `path` is unchanged.

    Args:
        path: the file to make or replace.
        flush: wait until the data are on disk. Use False for many small files that are quickly made again, because waiting takes
            far longer than writing.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
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
    """Yield an empty temporary folder; on success it replaces `folder` and all its files."""
    folder = pathlib.Path(folder)
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)


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
    """Return the SHA-256 of the file at `path` as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
