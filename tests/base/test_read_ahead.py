import itertools
import threading

import pytest

from zeroshot.base import parallel


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_answers_come_in_the_order_of_the_items(workers):
    first_done = threading.Event()

    def answer(item):
        if item == 0 and workers > 1:
            assert first_done.wait(10)
        if item == 1:
            first_done.set()
        return item * item

    assert list(parallel.in_order(answer, range(50), workers)) == [item * item for item in range(50)]


@pytest.mark.parametrize("workers", [0, 2])
def test_no_more_is_read_than_what_is_taken_and_two_answers_a_thread(workers):
    begun = []
    answers = parallel.in_order(begun.append, itertools.count(), workers)
    for _ in range(20):
        next(answers)
    assert len(begun) <= 20 + 2 * workers
    answers.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_at_its_place(workers):
    answers = parallel.in_order(lambda item: 1 // item, [1, 0, 1], workers)
    assert next(answers) == 1
    with pytest.raises(ZeroDivisionError):
        next(answers)
