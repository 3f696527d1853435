"""A bar with rate and time left on a terminal, plain lines in a log file."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

import tqdm

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
