"""Work on many files of a dataset: in parallel, in order, and into a folder that appears whole or not at all."""

import contextlib
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Map `function` over `items` in `workers` threads, 0 for none, and yield in the order of `items`.

    Threads suffice: Pillow and zlib decode and encode without holding Python's lock.
    """
    if workers == 0:
        yield from map(function, items)
        return
    with futures.ThreadPoolExecutor(workers) as pool:
        yield from pool.map(function, items)


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
