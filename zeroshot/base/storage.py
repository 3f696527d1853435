"""Writing files so that a reader never sees half of one, and naming their content."""

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
    """Yield a temporary path beside `path`; on success flush it to disk and rename it to `path`.

    An artefact may be a hard link into DVC's cache, so it is replaced, never opened for writing (DESIGN.md, section 5).
    On an exception the temporary file is removed and `path` stays as it was.

    Args:
        path: the file to make or replace.
        flush: wait for the disk; False for one of many small files that are quickly made again, since waiting takes far longer than
            writing them.
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
    """Like `replacing`, but yield an open binary file, for writers whose bytes depend on the file's name (torch.save)."""
    with replacing(path, flush) as temporary, open(temporary, "wb") as file:
        yield file


@contextlib.contextmanager
def replacing_folder(folder: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield an empty folder beside `folder`; on success it becomes `folder`, with nothing of what that held before."""
    folder = pathlib.Path(folder)
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)


def write_text(path: str | pathlib.Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with writing(path) as file:
        file.write(text.encode())


def write_json(path: str | pathlib.Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline; not-a-number is refused with a ValueError (write None instead)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(
    path: str | pathlib.Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Write rows as CSV; None is an empty cell.

    Args:
        path: the file to make or replace.
        rows: mappings from column to value; a column that a row lacks is an empty cell.
        columns: their order; that of the first row, with what later rows add, if None. No row and no column give an empty line.
    """
    if columns is None:
        columns = list(dict.fromkeys(column for row in rows for column in row))
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval=None, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class Curve:
    """A table of a training's epochs, written again after each, so that `dvc plots show` follows a run.

    Attributes:
        rows: of all epochs so far.
    """

    def __init__(self, path: str | pathlib.Path, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Start with the `rows` of an interrupted run, none by default; its table is written again, since DVC removed it."""
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
