"""The folder of a generated data set: replaced as a whole, and never in the place of files of the user."""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from zeroshot.base import errors, parallel, progress, storage

R = TypeVar("R")
# An image: its split and its index there.
Place = tuple[str, int]
# Images that a process draws at a time.
_PART = 50


@contextlib.contextmanager
def replacing(out: pathlib.Path, stage: str, is_own: Callable[[pathlib.Path], bool]) -> Iterator[pathlib.Path]:
    """Yield an empty temporary folder that replaces `out` when all files are written.

    Args:
        out: the folder of the data set.
        stage: the stage that makes it, for messages.
        is_own: tells whether a folder with files was made by this stage.

    Raises:
        errors.UserError: if `out` contains anything else, which would be deleted.
    """
    if out.exists() and not out.is_dir() or out.is_dir() and any(out.iterdir()) and not is_own(out):
        raise errors.UserError(
            f"{out}: contains other files than a dataset of {stage}; move them away or use another --data-root"
        )
    with storage.replacing_folder(out) as unfinished:
        yield unfinished


def draw_all(write: Callable[[str, int], R], counts: dict[str, int], workers: int, stage: str) -> dict[str, list[R]]:
    """Call `write(split, index)` for every image of every split, in up to `workers` processes, and return its results by split.

    Args:
        write: draws and writes one image; picklable. What it writes must not depend on the other images.
        counts: number of images of each split.
        workers: processes; the results do not depend on their number.
        stage: the name of the progress bar.
    """
    places = [(split, index) for split, count in counts.items() for index in range(count)]
    parts = [places[start : start + _PART] for start in range(0, len(places), _PART)]
    written = parallel.each(functools.partial(_write_part, write), parts, workers)
    results: dict[Place, R] = {}
    for number, part in progress.track(written, f"{stage} ({_PART} images each)", total=len(parts)):
        results |= zip(parts[number], part, strict=True)
    return {split: [results[split, index] for index in range(count)] for split, count in counts.items()}


def _write_part(write: Callable[[str, int], R], places: Sequence[Place]) -> list[R]:
    return [write(split, index) for split, index in places]
