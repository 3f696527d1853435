"""Independent jobs side by side, each on one thread, so that results do not depend on how many run at a time."""

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

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
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
