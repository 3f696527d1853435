import torch

from tests.support import blocks
from zeroshot.base import params
from zeroshot.images import grids
from zeroshot.networks import backbone, weights

folder = blocks.folder


def test_initial_weights_follow_from_the_seed(folder):
    first, same, other = (
        backbone.build(blocks.options(seed=seed), 4, folder / "data/pretrained/none").state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_build_loads_the_weights_of_the_given_file(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(weights, "read_file", lambda *names: calls.append(names) or {"from": "file"})
    monkeypatch.setattr(weights, "read_torchvision", lambda *names: calls.append(names) or {"from": "torchvision"})
    monkeypatch.setattr(weights, "load_encoder", lambda _, *arguments: calls.append(arguments))
    none, state_dict, named = (tmp_path / name for name in ("none", "w.pth", "IMAGENET1K_V2"))
    none.touch()
    state_dict.write_bytes(b"weights")
    named.touch()
    backbone.build(blocks.options(), 4, none)
    assert calls == []
    backbone.build(blocks.options(pretraining="self_supervised"), 4, state_dict)
    backbone.build(blocks.options(pretraining="labels"), 4, named, "network")
    assert calls == [
        (state_dict, "backbone"),
        ("mobilenet_v2", {"from": "file"}, str(state_dict), "backbone"),
        ("mobilenet_v2", "IMAGENET1K_V2", named, "network"),
        ("mobilenet_v2", {"from": "torchvision"}, str(named), "network"),
    ]


def test_loaded_network_matches_the_saved_one(folder):
    options = blocks.options()
    network = backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none")
    with torch.no_grad():
        network.classifier.weight.normal_()
    checkpoint = {"seen": list(blocks.SEEN), "config": params.to_dict(options), "network": network.state_dict()}
    loaded = backbone.load(checkpoint)
    assert not loaded.training and not network.eval().training
    images = torch.randint(0, 256, (2, 3, 24, 20), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))


def test_extractor_returns_features_at_the_stride_without_gradients(folder):
    network = backbone.build(blocks.options(), len(blocks.SEEN), folder / "data/pretrained/none")
    extract = backbone.extractor(network, torch.device("cpu"), "float32")
    images = torch.randint(0, 256, (2, 3, 24, 22), dtype=torch.uint8)
    features = extract(images)
    assert features.shape == (2, network.feature_dim, *grids.map_size(24, 22, network.stride))
    assert not features.requires_grad and not network.training
    with torch.no_grad():
        torch.testing.assert_close(features, network.features(images), rtol=1e-4, atol=1e-5)
