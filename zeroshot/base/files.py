"""A folder of many files that appears whole or not at all."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(folder: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield an empty folder beside `folder`; on success it becomes `folder`, with nothing of what that held before."""
    folder = pathlib.Path(folder)
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)
