"""A bar with rate and time left on a terminal, plain lines in a log file."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, TypeVar

import tqdm

from zeroshot.base import storage

T = TypeVar("T")
LOG_SECONDS = 10.0


def track(items: Iterable[T], what: str, total: int | None = None, initial: int = 0) -> Iterator[T]:
    """Yield `items` while reporting progress on standard error.

    Args:
        items: anything iterable.
        what: the name shown, for example `train_gmmn`.
        total: number of items, where `items` has no length.
        initial: how many of the `total` were done by an earlier, interrupted run.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        yield from tqdm.tqdm(items, desc=what, total=total, initial=initial, dynamic_ncols=True)
        return
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_SECONDS:
            last = now
            rate = done / (now - start)
            left = f", {(total - initial - done) / rate:.0f} s left" if total else ""
            print(f"{what}: {initial + done}/{total or '?'}, {rate:.3g}/s{left}", file=sys.stderr, flush=True)


def train(epochs: Iterable[tuple[Mapping[str, Any], T]], what: str, total: int, curve: storage.Curve) -> T:
    """Run a training to its end, its curve written after each epoch, and return what the last epoch gave.

    Args:
        epochs: yields the row and the result so far of each epoch.
        what: the name shown.
        total: number of epochs, at least 1.
        curve: takes the rows.
    """
    *_, last = (_recorded(row, result, curve) for row, result in track(epochs, what, total=total))
    return last


def _recorded(row: Mapping[str, Any], result: T, curve: storage.Curve) -> T:
    curve.add(row)
    return result
