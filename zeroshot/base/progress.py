"""Progress: a bar with rate and remaining time on a terminal, plain lines in a log file."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, TypeVar

import tqdm

from zeroshot.base import ranks, storage

T = TypeVar("T")
LOG_SECONDS = 10.0


def track(items: Iterable[T], what: str, total: int | None = None, initial: int = 0) -> Iterator[T]:
    """Yield `items` while reporting progress on standard error; of several ranks, rank 0 reports.

    Args:
        items: anything iterable.
        what: the displayed name, for example `train_gmmn`.
        total: number of items; the length of `items` if None and there is one.
        initial: number of the `total` items that an earlier, interrupted run completed.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if ranks.rank():
        yield from items
        return
    if sys.stderr.isatty():
        yield from tqdm.tqdm(items, desc=what, total=total, initial=initial, dynamic_ncols=True)
        return
    start = last = time.monotonic()
    n_done = 0
    for n_done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_SECONDS:
            last = now
            seconds = (now - start) / n_done
            # As tqdm's bar does, from a second an item on.
            speed = f"{_short(seconds)} s each" if seconds > 1 else f"{_short(1 / seconds)}/s"
            remaining = f", {(total - initial - n_done) * seconds:.0f} s left" if total else ""
            print(f"{what}: {initial + n_done}/{total or '?'}, {speed}{remaining}", file=sys.stderr, flush=True)


def _short(value: float) -> str:
    """Return a number with three digits, or all those before the point."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def say(text: str) -> None:
    """Print a line about the work that follows, on standard error; of several ranks, rank 0 prints."""
    if not ranks.rank():
        print(text, file=sys.stderr, flush=True)


def train(epochs: Iterable[tuple[Mapping[str, Any], T]], what: str, total: int, curve: storage.Curve) -> T:
    """Run all epochs of a training, write the curve after each, and return the result of the last.

    Args:
        epochs: yields the row of the curve and the result of each epoch.
        what: the displayed name.
        total: number of epochs, at least 1.
        curve: the table to which the rows are added.
    """
    *_, last = (_recorded(row, result, curve) for row, result in track(epochs, what, total=total))
    return last


def _recorded(row: Mapping[str, Any], result: T, curve: storage.Curve) -> T:
    curve.add(row)
    return result
