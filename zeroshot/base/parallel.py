"""Independent jobs side by side: processes that compute, and threads that read files ahead of the work on them."""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Run = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterator[tuple[int, Any]]]


@contextlib.contextmanager
def processes(workers: int) -> Iterator[Run]:
    """Start processes that end with the context; with one worker this process does all, and none is started.

    Yields:
        run(function, jobs): calls function(*job) for every job and yields (number of the job, its answer) in the order in which jobs
        finish; an exception of a job is raised. The function is found by its name in a module, the jobs can be pickled, and no job may
        depend on what another left in memory.
    """
    if workers == 1:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield lambda function, jobs: ((number, function(*job)) for number, job in enumerate(jobs))
        finally:
            torch.set_num_threads(before)
        return
    # A forked process would inherit the locks of PyTorch's threads, but not the threads.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _begin) as pool:

        def run(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
            pending = {pool.submit(function, *job): number for number, job in enumerate(jobs)}
            for future in concurrent.futures.as_completed(pending):
                yield pending[future], future.result()

        try:
            yield run
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Set up a worker: one thread, and an end with its parent, which a killed parent cannot ask for."""
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Map `function` over `items` in `workers` threads, 0 for none, and yield in the order of `items`.

    At most two answers for each thread wait to be taken, so memory does not grow with the number of items. Threads suffice: Pillow and
    zlib decode and encode without holding Python's lock.
    """
    if workers == 0:
        yield from map(function, items)
        return
    waiting: collections.deque[concurrent.futures.Future[R]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
