"""Independent jobs in parallel: processes for computation, threads for reading files in advance."""

import collections
import concurrent.futures
import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Run = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterator[tuple[int, Any]]]


# In a worker process: the bytes given as `shared` to `processes`.
_shared = b""


@contextlib.contextmanager
def processes(workers: int, shared: bytes = b"") -> Iterator[Run]:
    """Start worker processes that end with the context. With one worker, the jobs run in this process.

    Args:
        workers: the number of processes. Each computes on one thread.
        shared: bytes sent to each process once instead of once per job; `each` uses it.

    Yields:
        run(function, jobs): calls function(*job) for every job and yields (index of the job, its result) in the order in which jobs
        finish; an exception of a job is raised. The function must be importable by name, the jobs must be picklable, and no job may
        depend on what another job left in memory.
    """
    if workers == 1:
        with _one_thread():
            yield lambda function, jobs: ((number, function(*job)) for number, job in enumerate(jobs))
        return
    # A forked process would inherit the locks of PyTorch's threads without the threads.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker, (shared,)) as pool:

        def run(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
            # The pool starts processes here, and they inherit that Ctrl-C, which reaches them too, does nothing to them.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                pending = {pool.submit(function, *job): number for number, job in enumerate(jobs)}
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for future in concurrent.futures.as_completed(pending):
                yield pending[future], future.result()

        try:
            yield run
        except (KeyboardInterrupt, GeneratorExit):
            # A job may take an hour, and its result is not wanted any more.
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def each(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[tuple[int, R]]:
    """Call `function` on every item in up to `workers` processes, or in this process if one is enough.

    Args:
        function: picklable, with picklable results. functools.partial may bind much data to it, since each process gets it once.
        items: the arguments.
        workers: at least 1. At most one process per item is started. Each computes on one thread.

    Yields:
        (index of the item, its result) in the order in which the calls finish; an exception of a call is raised.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        with processes(1) as run:
            yield from run(function, [(item,) for item in items])
        return
    # PyTorch's pickling between processes passes tensors as shared memory and open files, whose number is limited.
    # Plain pickling here passes them as bytes.
    with processes(workers, pickle.dumps(function)) as run:
        for number, result in run(_call_shared, [(pickle.dumps(item),) for item in items]):
            yield number, pickle.loads(result)


def _call_shared(item: bytes) -> bytes:
    return pickle.dumps(_unpickled(_shared)(pickle.loads(item)))


@functools.lru_cache(maxsize=1)
def _unpickled(shared: bytes) -> Any:
    return pickle.loads(shared)


def _start_worker(shared: bytes) -> None:
    """Set up a worker: it computes on one thread, and it exits when its parent ends, even if the parent is killed."""
    global _shared
    _shared = shared
    # PyTorch reads this when a job loads it; jobs that do without it need not wait for it.
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread, if it has been loaded, until the context ends."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Map `function` over `items` in threads and yield the results in the order of `items`.

    At most two results per thread wait in memory, so memory does not grow with the number of items. Threads suffice because Pillow and
    zlib release Python's global lock while they decode and encode.

    Args:
        function: called with each item.
        items: the arguments.
        workers: number of threads; 0 calls `function` in this thread.
    """
    if workers == 0:
        yield from map(function, items)
        return
    pending: collections.deque[concurrent.futures.Future[R]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
