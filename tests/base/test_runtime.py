import subprocess
import sys

import pytest
import torch

from zeroshot.base import params, runtime


def settings(**changes):
    return params.build(
        {"device": "auto", "threads": 1, "workers": 0, "scratch": "scratch", **changes}, runtime.Params, "runtime"
    )


def test_the_device_asked_for():
    assert runtime.device(settings(device="cpu")) == torch.device("cpu")


@pytest.mark.parametrize(("available", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, available, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert runtime.device(settings()) == torch.device(expected)


def test_a_missing_gpu_is_explained(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="runtime.device: is cuda, but PyTorch finds no GPU; use cpu or auto"):
        runtime.device(settings(device="cuda"))


@pytest.mark.parametrize(
    "changes", [{"threads": 0}, {"workers": -1}, {"workers": "2"}, {"device": "gpu"}, {"scratch": ""}]
)
def test_wrong_values_are_refused(changes):
    with pytest.raises(params.ParamsError, match=rf"runtime\.{next(iter(changes))}"):
        settings(**changes)


def test_reading_the_section_does_not_import_torch():
    code = "import sys, zeroshot.base.runtime, stages.prepare_split; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
