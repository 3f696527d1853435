import subprocess
import sys

import pytest
import torch

from zeroshot.base import errors, params, runtime


def settings(**changes):
    return params.build(
        {"device": "auto", "threads": 1, "ranks": 1, "workers": 0, "scratch": "scratch", **changes},
        runtime.Params,
        "runtime",
    )


@pytest.fixture(autouse=True)
def restored_threads():
    n_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(n_threads)


def test_start_returns_the_chosen_device():
    assert runtime.start(settings(device="cpu")) == torch.device("cpu")


@pytest.mark.parametrize(("available", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_if_available(monkeypatch, available, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert runtime.start(settings()) == torch.device(expected)


def test_missing_gpu_is_reported(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(errors.UserError) as caught:
        runtime.start(settings(device="cuda"))
    assert str(caught.value) == "runtime.device: is cuda, but PyTorch finds no GPU; use cpu or auto"


def test_start_sets_the_given_number_of_pytorch_threads_and_one_by_default():
    runtime.start(settings(device="cpu", threads=3), 3)
    assert torch.get_num_threads() == 3
    runtime.start(settings(device="cpu", threads=3))
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    "changes", [{"workers": -1}, {"workers": "2"}, {"threads": 0}, {"ranks": 0}, {"device": "gpu"}, {"scratch": ""}]
)
def test_values_out_of_range_are_refused(changes):
    with pytest.raises(params.ParamsError, match=rf"runtime\.{next(iter(changes))}"):
        settings(**changes)


def test_reading_the_section_does_not_import_torch():
    code = "import sys, zeroshot.base.runtime, stages.prepare_split; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_freed_tensor_leaves_its_memory_to_the_next_one():
    """The system clears every page that it gives, so each page of a returned block is a fault again.

    A small allocation may take a piece of the freed block; then the next tensor, once in a while, needs a new one. With the default
    settings every tensor does.
    """
    faults = """if True:
        import resource, torch
        from zeroshot.base import params, runtime
        section = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"}
        runtime.start(params.build(section, runtime.Params, "runtime"))
        counts = []
        for _ in range(32):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            torch.ones(2**24)
            counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        print(*counts)
    """
    counts = list(map(int, subprocess.check_output([sys.executable, "-c", faults], text=True).split()))
    assert counts[0] > 1000 and sum(count > 1000 for count in counts) <= 16


class OldLibrary:
    """Refuses thresholds above 32 MiB, as the GNU C library before 2.35."""

    def __init__(self, most):
        self.most, self.options = most, {}

    def mallopt(self, option, value):
        if option == -3 and value > self.most:
            return 0
        self.options[option] = value
        return 1


@pytest.mark.parametrize(("most", "options"), [(2**25, {-3: 2**25, -1: 2**31 - 1}), (0, {})])
def test_an_old_c_library_gets_the_most_that_it_takes(monkeypatch, most, options):
    """The threshold for trimming alone would freeze the other one at 128 KiB."""
    library = OldLibrary(most)
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: library)
    runtime.start(settings(device="cpu"))
    assert library.options == options
