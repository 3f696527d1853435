import os

import pytest
import torch

from zs3 import parallel


def job(number):
    return number**2, torch.get_num_threads(), os.getpid()


def divide(a, b):
    return a / b


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_answered_on_one_thread(workers):
    torch.set_num_threads(2)
    with parallel.processes(workers) as run:
        for jobs in ([(2,), (3,), (4,)], []):
            answers = dict(run(job, jobs))
            assert {number: answer[:2] for number, answer in answers.items()} == {
                number: (argument**2, 1) for number, (argument,) in enumerate(jobs)
            }
            assert all((answer[2] == os.getpid()) is (workers == 1) for answer in answers.values())
        with pytest.raises(ZeroDivisionError):
            list(run(divide, [(1, 1), (1, 0)]))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
