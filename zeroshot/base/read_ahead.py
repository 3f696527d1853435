"""Threads that read files ahead of the work on them, in its order."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Map `function` over `items` in `workers` threads, 0 for none, and yield in the order of `items`.

    At most two answers for each thread wait to be taken, so memory does not grow with the number of items. Threads suffice: Pillow and
    zlib decode and encode without holding Python's lock.
    """
    if workers == 0:
        yield from map(function, items)
        return
    waiting: collections.deque[futures.Future[R]] = collections.deque()
    with futures.ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
