import functools
import itertools
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest
import torch

from zeroshot.base import parallel


def job(number):
    return number**2, torch.get_num_threads(), os.getpid()


def divide(a, b):
    return a / b


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_run_every_job_on_one_thread(workers):
    torch.set_num_threads(2)
    with parallel.processes(workers) as run:
        for jobs in ([(2,), (3,), (4,)], []):
            results = dict(run(job, jobs))
            assert {number: result[:2] for number, result in results.items()} == {
                number: (argument**2, 1) for number, (argument,) in enumerate(jobs)
            }
            assert all((result[2] == os.getpid()) is (workers == 1) for result in results.values())
        with pytest.raises(ZeroDivisionError):
            list(run(divide, [(1, 1), (1, 0)]))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def write_pid_and_wait(path):
    pathlib.Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_workers_exit_if_their_parent_is_killed(tmp_path):
    path = tmp_path / "pid"
    code = (
        "from tests.base import test_parallel; from zeroshot.base import parallel\n"
        f"with parallel.processes(2) as run: list(run(test_parallel.write_pid_and_wait, [({str(path)!r},)]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert wait_for(lambda: path.exists() and path.read_text())
        worker = pathlib.Path("/proc", path.read_text(), "stat")
        assert worker.exists()
    finally:
        parent.kill()
        parent.wait()
    # A process whose parent has not waited for it remains in /proc as a zombie.
    assert wait_for(lambda: not worker.exists() or worker.read_text().split()[2] == "Z")


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_in_order_yields_results_in_the_order_of_items(workers):
    item_1_done = threading.Event()

    def answer(item):
        if item == 0 and workers > 1:
            assert item_1_done.wait(10)
        if item == 1:
            item_1_done.set()
        return item * item

    assert list(parallel.in_order(answer, range(50), workers)) == [item * item for item in range(50)]


@pytest.mark.parametrize("workers", [0, 2])
def test_in_order_starts_at_most_two_items_per_thread_in_advance(workers):
    started = []
    results = parallel.in_order(started.append, itertools.count(), workers)
    for _ in range(20):
        next(results)
    assert len(started) <= 20 + 2 * workers
    results.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_in_order_raises_an_error_at_the_failing_item(workers):
    results = parallel.in_order(lambda item: 1 // item, [1, 0, 1], workers)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def scale(factor, tensor):
    return factor * tensor, os.getpid(), torch.get_num_threads()


@pytest.mark.parametrize(("workers", "items"), [(1, 3), (2, 3), (2, 1), (4, 2), (2, 0)])
def test_each_calls_the_function_on_every_item_on_one_thread(workers, items):
    function = functools.partial(scale, torch.tensor([2.0, 3.0]))
    results = dict(parallel.each(function, [torch.tensor(float(k)) for k in range(items)], workers))
    assert sorted(results) == list(range(items))
    for number, (tensor, pid, threads) in results.items():
        assert tensor.tolist() == [2.0 * number, 3.0 * number] and threads == 1
        # A single item is processed in this process.
        assert (pid == os.getpid()) is (min(workers, items) == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_each_raises_the_exception_of_an_item(workers):
    with pytest.raises(ZeroDivisionError):
        list(parallel.each(functools.partial(divide, 1), [1, 0], workers))
