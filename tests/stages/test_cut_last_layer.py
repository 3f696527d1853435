"""The stage cut_last_layer, on the untrained network of tests/support/blocks.py."""

import pytest
import torch

from stages import cut_last_layer
from tests.support import blocks
from zeroshot.base import checkpoints, command_line
from zeroshot.datasets import splits
from zeroshot.networks import backbone
from zeroshot.pixel_classifiers import pixel_classifier

LISTS = {"classes": list(blocks.CLASSES), "seen": list(blocks.SEEN), "train_unseen": [], "unseen": list(blocks.UNSEEN)}
ROLES = {**LISTS, "exclude": "images"}


@pytest.fixture
def network(tmp_path, monkeypatch):
    """The network of models/backbone.pt; the stage ran in the working folder."""
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "none"
    weights.write_bytes(b"")
    built = backbone.build(blocks.options(), len(blocks.SEEN), weights)
    facts = {"seen": list(blocks.SEEN), "names": [blocks.CLASSES[label] for label in blocks.SEEN], "side": 40}
    state = {"config": blocks.BACKBONE, "network": built.state_dict()}
    checkpoints.save(tmp_path / "models/backbone.pt", {**facts, **state})
    splits.write(tmp_path / "data/split.json", blocks.split())
    run()
    return built.eval()


def run():
    paths = ("--split-path", "data/split.json", "--backbone-path", "models/backbone.pt")
    command_line.run(cut_last_layer.main, [*paths, "--classifier-path", "models/classifiers/seen_only.pt"])


def test_the_classifier_has_the_weights_and_classes_of_the_last_layer(network):
    layer, provenance = pixel_classifier.load("models/classifiers/seen_only.pt")
    assert provenance == ROLES
    assert torch.equal(layer.weight, network.classifier.weight[:, :, 0, 0])
    assert torch.equal(layer.bias, network.classifier.bias)
    assert layer.labels.tolist() == list(blocks.SEEN)
    assert not layer.unseen.any() and layer.seen_bias == 0


def test_logits_equal_those_of_the_network(network):
    layer, _ = pixel_classifier.load("models/classifiers/seen_only.pt")
    image = torch.randint(0, 256, (1, 3, 36, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = layer.logits(network.features(image)[0].flatten(1).T)
        torch.testing.assert_close(logits, network(image)[0].flatten(1).T)


def test_a_second_run_gives_the_same_bytes(network, tmp_path):
    path = tmp_path / "models/classifiers/seen_only.pt"
    first = path.read_bytes()
    path.unlink()
    run()
    assert path.read_bytes() == first
