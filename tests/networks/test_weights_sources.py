import os
import pathlib
import pickle
import urllib.error

import pytest
import torch
import torchvision

from tests.support import dag
from zeroshot.networks import weights


class Payload:
    """An object that makes the folder `path` when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_data_parallel_training_checkpoint_is_unwrapped(tmp_path):
    tensors = {"conv1.weight": torch.ones(2), "module.bn1.weight": torch.zeros(3)}
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in tensors.items()}}
    torch.save(wrapped, tmp_path / "w.pth")
    state = weights.read_file(tmp_path / "w.pth")
    assert list(state) == ["conv1.weight", "bn1.weight"]
    assert all(torch.equal(value, tensor) for value, tensor in zip(state.values(), tensors.values(), strict=True))


@pytest.mark.parametrize(
    ("content", "kind"),
    [([torch.zeros(1)], "list"), ({"a": 3}, "dict"), ({1: torch.zeros(1)}, "dict"), (torch.zeros(2), "Tensor")],
)
def test_a_file_without_a_state_dict_is_refused(tmp_path, content, kind):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(weights.WeightsError) as caught:
        weights.read_file(tmp_path / "w.pth")
    assert (
        str(caught.value)
        == f"{tmp_path}/w.pth: needs a state dict (names to tensors), but holds {kind}; save `model.state_dict()` alone"
    )


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "content", [None, b"not found\n", b"<html>no such page</html>", b"\x80\x02.", b"PK\x03\x04" + bytes(50)]
)
def test_file_that_is_not_a_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "w.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(weights.WeightsError) as caught:
        weights.read_file(path)
    cause, _, remedy = str(caught.value).partition("; ")
    assert cause.startswith(f"{path}: {'No such file' if content is None else 'cannot be read as a PyTorch file: '}")
    assert remedy == "set backbone.weights to a state dict that torch.save wrote, and download a damaged file again"


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_torchscript_file_is_refused_by_name(tmp_path):
    path = tmp_path / "sscd.torchscript.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(weights.WeightsError) as caught:
        weights.read_file(path)
    assert str(caught.value) == (
        f"{path}: is a TorchScript file, which holds code; if you trust it, save its weights alone, "
        f"`torch.save(torch.jit.load('{path}').state_dict(), 'weights.pth')`, and set backbone.weights to that file"
    )


def test_empty_file_named_none_selects_random_weights(tmp_path):
    path = tmp_path / "none"
    path.touch()
    assert weights.read(path, "resnet18") is None


def test_a_missing_file_named_none_is_refused(tmp_path):
    with pytest.raises(weights.WeightsError, match="none: No such file or directory; set backbone.weights"):
        weights.read(tmp_path / "none", "resnet18")


def test_empty_files_of_the_repository_select_their_weights(monkeypatch):
    folder = dag.ROOT / "data" / "pretrained"
    assert weights.read(folder / "none", "resnet101") is None
    monkeypatch.setattr(weights, "read_torchvision", lambda *arguments: arguments)
    for name in ("IMAGENET1K_V1", "IMAGENET1K_V2"):
        assert weights.read(folder / name, "resnet101") == ("resnet101", name, folder / name, "backbone")
        assert name in torchvision.models.get_model_weights("resnet101").__members__


def test_code_in_a_file_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"conv1.weight": Payload(marker)}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Payload(marker), protocol=2))
    for name in ("zip.pth", "bare.pth"):
        with pytest.raises(weights.WeightsError, match="cannot be read as a PyTorch file: it names `posix.mkdir`"):
            weights.read_file(tmp_path / name)
    assert not marker.exists()


def test_empty_file_of_another_name_is_refused_with_the_known_names(tmp_path):
    path = tmp_path / "IMAGENET"
    path.touch()
    with pytest.raises(weights.WeightsError) as caught:
        weights.read(path, "resnet50")
    assert str(caught.value) == (
        f"{path}: is empty, and its name is not the name of any weights of resnet50; set backbone.weights to a state dict, "
        "or to an empty file named none or like torchvision's weights: IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT"
    )


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("invalid hash value")])
def test_failed_download_is_refused_with_a_remedy(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torchvision.models.get_model_weights("resnet18"), "get_state_dict", fail)
    with pytest.raises(weights.WeightsError) as caught:
        weights.read_torchvision("resnet18", "IMAGENET1K_V1", pathlib.Path("IMAGENET1K_V1"))
    assert str(caught.value) == (
        f"resnet18 IMAGENET1K_V1: cannot be downloaded: {error}; download the file yourself and set backbone.weights to its path"
    )


def test_torchvisions_weights_are_checked_against_their_checksum(monkeypatch):
    calls = []
    enum = torchvision.models.get_model_weights("mobilenet_v2")
    monkeypatch.setattr(enum, "get_state_dict", lambda self, **options: calls.append((self.name, options)) or {"a": 1})
    assert weights.read_torchvision("mobilenet_v2", "IMAGENET1K_V2", pathlib.Path("IMAGENET1K_V2")) == {"a": 1}
    assert calls[0][0] == "IMAGENET1K_V2" and calls[0][1]["check_hash"] is True
