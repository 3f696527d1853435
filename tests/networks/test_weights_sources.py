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
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_data_parallel_training_checkpoint_is_unwrapped(tmp_path):
    tensors = {"conv1.weight": torch.ones(2), "module.bn1.weight": torch.zeros(3)}
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in tensors.items()}}
    torch.save(wrapped, tmp_path / "w.pth")
    state = weights.read_file(tmp_path / "w.pth")
    assert list(state) == list(tensors) and all(torch.equal(state[key], tensors[key]) for key in state)


@pytest.mark.parametrize(
    ("content", "found"),
    [([torch.zeros(1)], "list"), ({"a": 3}, "dict"), ({1: torch.zeros(1)}, "dict"), (torch.zeros(2), "Tensor")],
)
def test_a_file_without_a_state_dict_is_refused(tmp_path, content, found):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(weights.WeightsError) as caught:
        weights.read_file(tmp_path / "w.pth")
    assert str(caught.value) == f"{tmp_path}/w.pth: needs a state dict (names to tensors), found {found}"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "content", [None, b"not found\n", b"<html>no such page</html>", b"\x80\x02.", b"PK\x03\x04" + bytes(50)]
)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "w.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(weights.WeightsError) as caught:
        weights.read_file(path)
    assert str(caught.value).startswith(f"{path}: cannot be read as PyTorch weights: ")
    assert len(str(caught.value)) > len(f"{path}: cannot be read as PyTorch weights: ")


def test_an_empty_file_named_none_stands_for_no_weights(tmp_path):
    path = tmp_path / "none"
    path.touch()
    assert weights.read(path, "resnet18") is None


def test_a_missing_file_named_none_is_refused(tmp_path):
    with pytest.raises(weights.WeightsError, match="none: cannot be read as PyTorch weights"):
        weights.read(tmp_path / "none", "resnet18")


def test_the_empty_files_of_the_repository_stand_for_none_and_for_torchvisions_weights(monkeypatch):
    folder = dag.ROOT / "data" / "pretrained"
    assert weights.read(folder / "none", "resnet101") is None
    monkeypatch.setattr(weights, "read_torchvision", lambda *arguments: arguments)
    for name in ("IMAGENET1K_V1", "IMAGENET1K_V2"):
        assert weights.read(folder / name, "resnet101") == ("resnet101", name, folder / name)
        assert name in torchvision.models.get_model_weights("resnet101").__members__


def test_code_in_a_file_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"conv1.weight": Payload(marker)}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Payload(marker), protocol=2))
    for name in ("zip.pth", "bare.pth"):
        with pytest.raises(weights.WeightsError, match="cannot be read as PyTorch weights"):
            weights.read_file(tmp_path / name)
    assert not marker.exists()


def test_an_empty_file_of_another_name_is_refused_with_the_known_names(tmp_path):
    path = tmp_path / "IMAGENET"
    path.touch()
    with pytest.raises(weights.WeightsError) as caught:
        weights.read(path, "resnet50")
    assert str(caught.value) == (
        f"{path}: is empty, and its name stands for no weights of resnet50; set backbone.weights to a state dict, or to an "
        "empty file named none or as torchvision's weights: IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT"
    )


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("invalid hash value")])
def test_a_failed_download_says_how_to_go_without_it(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torchvision.models.get_model_weights("resnet18"), "get_state_dict", fail)
    with pytest.raises(weights.WeightsError) as caught:
        weights.read_torchvision("resnet18", "IMAGENET1K_V1", pathlib.Path("IMAGENET1K_V1"))
    assert str(caught.value) == (
        f"resnet18 IMAGENET1K_V1: cannot be downloaded: {error}; fetch the file yourself and set backbone.weights to its path"
    )


def test_torchvisions_weights_are_asked_for_with_their_checksum(monkeypatch):
    asked = []
    enum = torchvision.models.get_model_weights("mobilenet_v2")
    monkeypatch.setattr(enum, "get_state_dict", lambda self, **options: asked.append((self.name, options)) or {"a": 1})
    assert weights.read_torchvision("mobilenet_v2", "IMAGENET1K_V2", pathlib.Path("IMAGENET1K_V2")) == {"a": 1}
    assert asked[0][0] == "IMAGENET1K_V2" and asked[0][1]["check_hash"] is True
