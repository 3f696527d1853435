"""Independent jobs side by side: processes that compute, and threads that read files ahead of the work on them."""

import collections
import concurrent.futures
import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Run = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterator[tuple[int, Any]]]


# In a process of `processes`: what they all share.
_shared = b""


@contextlib.contextmanager
def processes(workers: int, shared: bytes = b"") -> Iterator[Run]:
    """Start processes that end with the context; with one worker this process does all, and none is started.

    Args:
        workers: the number of processes, each of which computes on one thread.
        shared: handed to each process once, in place of once a job; `each` uses it.

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
    with concurrent.futures.ProcessPoolExecutor(workers, context, _begin, (shared,)) as pool:

        def run(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
            pending = {pool.submit(function, *job): number for number, job in enumerate(jobs)}
            for future in concurrent.futures.as_completed(pending):
                yield pending[future], future.result()

        try:
            yield run
        finally:
            pool.shutdown(cancel_futures=True)


def each(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[tuple[int, R]]:
    """Call `function` with every item in up to `workers` processes, or in this one if one is enough.

    Args:
        function: may have much data bound to it by functools.partial, since each process gets it once. It and its answers can be pickled.
        items: the arguments.
        workers: at least 1; no more processes than items are started. Each computes on one thread.

    Yields:
        (number of the item, its answer) in the order in which they finish; an exception is raised.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        with processes(1) as run:
            yield from run(function, [(item,) for item in items])
        return
    # Pickled here, since the processes' own pickling hands over tensors as shared memory and open files, of which there are few.
    with processes(workers, pickle.dumps(function)) as run:
        for number, answer in run(_call_shared, [(pickle.dumps(item),) for item in items]):
            yield number, pickle.loads(answer)


def _call_shared(item: bytes) -> bytes:
    return pickle.dumps(_unpickled(_shared)(pickle.loads(item)))


@functools.lru_cache(maxsize=1)
def _unpickled(shared: bytes) -> Any:
    return pickle.loads(shared)


def _begin(shared: bytes) -> None:
    """Set up a worker: one thread, and an end with its parent, which a killed parent cannot ask for."""
    import torch

    global _shared
    _shared = shared
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
