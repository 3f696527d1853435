"""The stage train_devise_network, on tests/support/blocks.py."""

import dataclasses

import pytest
import torch

from stages.whole_network import train_devise_network
from tests.support import blocks
from zeroshot.base import checkpoints, command_line
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.networks import backbone, semantic_head, supervised_training
from zeroshot.pixel_classifiers import compatibility, pixel_classifier
from zeroshot.words import class_embeddings

ARGUMENTS = {
    "--data-root": "data/blocks",
    "--split-path": "data/split.json",
    "--masks-dir": "data/masks/train",
    "--embeddings-path": "data/class_embeddings.h5",
    "--weights-path": "data/pretrained/none",
    "--recipe-path": "models/backbone.pt",
    "--network-path": "models/networks/devise_network.pt",
    "--classifier-path": "models/classifiers/devise_network.pt",
    "--curve-path": "metrics/devise_network_curve.csv",
}
OUTS = ("models/networks/devise_network.pt", "models/classifiers/devise_network.pt", "metrics/devise_network_curve.csv")


# Entries of the backbone that are copied, and those that only need to be there.
FACTS = {"seen": list(blocks.SEEN), "names": [blocks.CLASSES[label] for label in blocks.SEEN], "side": 40}
LAYER = {"classifier.weight": torch.zeros(1), "classifier.bias": torch.zeros(1)}


class Killed(BaseException):
    """Simulates that the process is killed."""


def vectors():
    """Return the class vectors (5, 3), the background's all zeros."""
    table = torch.randn(len(blocks.CLASSES), 3, generator=torch.Generator().manual_seed(0)).numpy()
    table[0] = 0
    return table


def make(folder, **changes):
    """Write all inputs of the stage to `folder`; of the backbone of tests/support/blocks.py only the options are used."""
    blocks.make(folder)
    written = class_embeddings.ClassEmbeddings(blocks.CLASSES, vectors())
    class_embeddings.write(folder / "data/class_embeddings.h5", written, {"source": "test"})
    checkpoints.save(folder / "models/backbone.pt", {**FACTS, "config": blocks.BACKBONE | changes, "network": LAYER})
    return folder


def run(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command_line.run(train_devise_network.main, [word for pair in ARGUMENTS.items() for word in pair])


def test_classes_that_no_network_learns_are_refused(tmp_path):
    folder = make(tmp_path)
    split = dataclasses.replace(blocks.split(), train_unseen=(blocks.SEEN[-1],))
    splits.write(folder / "data/split.json", split)
    name = blocks.CLASSES[blocks.SEEN[-1]]
    text = rf"^train_devise_network: trains a network on all seen classes, .*\({name}\); set data.train_unseen: \[\]$"
    with pytest.raises(SystemExit, match=text):
        run(folder)


def outputs(folder):
    return {name: (folder / name).read_bytes() for name in OUTS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder in which the stage ran without interruption."""
    folder = make(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


def test_the_classifier_predicts_the_class_vector_nearest_to_the_output(whole):
    checkpoint = checkpoints.load(whole / "models/networks/devise_network.pt")
    network = backbone.load(checkpoint)
    model, facts = pixel_classifier.load(whole / "models/classifiers/devise_network.pt")
    assert model.labels.tolist() == [*blocks.SEEN, *blocks.UNSEEN] and model.unseen.tolist() == [False] * 4 + [True]
    assert facts == splits.roles(blocks.split()) and checkpoint["seen"] == list(blocks.SEEN)
    # The background has the vector zero, so it has an additional dimension.
    assert network.classifier.out_channels == 4
    image = torch.from_numpy(image_files.read_image(whole / "data/blocks/JPEGImages/b.png")).permute(2, 0, 1)[None]
    with torch.no_grad():
        features = network.features(image)[0].flatten(1).T
        embedded = network(image)[0].flatten(1).T
    classes = semantic_head.directions(torch.from_numpy(vectors()))[model.labels]
    cosines = torch.nn.functional.cosine_similarity(embedded[:, None], classes[None], dim=2)
    assert torch.equal(model.logits(features).argmax(1), cosines.argmax(1))


def test_layers_frozen_in_the_backbone_are_trained(whole, tmp_path):
    folder = make(tmp_path, freeze="encoder")
    run(folder)
    weights, expected = (
        checkpoints.load(root / "models/networks/devise_network.pt")["network"] for root in (folder, whole)
    )
    assert weights.keys() == expected.keys() and all(torch.equal(weights[name], expected[name]) for name in weights)


def test_training_moves_outputs_towards_their_class_vectors(tmp_path):
    folder = make(tmp_path)
    options = blocks.options(epochs=6, repeat_threshold=0.0, dropout=0.0)
    classes = semantic_head.directions(torch.from_numpy(vectors()))
    network = backbone.build(options, classes.shape[1], folder / "data/pretrained/none")
    criterion = compatibility.cosine_criterion(classes[list(blocks.SEEN)])
    dataset = blocks.dataset(folder)
    rows = [
        row
        for row, _ in supervised_training.fit(network, dataset, options, torch.device("cpu"), 0, criterion=criterion)
    ]
    assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]


@pytest.mark.parametrize("killed_after", [0, 1])
def test_a_killed_training_resumes_to_the_same_bytes(whole, tmp_path, monkeypatch, killed_after):
    folder = make(tmp_path / "killed")
    save = checkpoints.save

    def save_and_die(path, checkpoint):
        save(path, checkpoint)
        if path.name == "state.pt" and checkpoint["epoch"] == killed_after:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_die)
        with pytest.raises(Killed):
            run(folder)
    assert not any((folder / name).exists() for name in OUTS if name.startswith("models/"))
    # DVC removes the outputs before a stage runs again.
    (folder / "metrics/devise_network_curve.csv").unlink()
    run(folder)
    assert outputs(folder) == outputs(whole)
    assert not list(folder.glob("work/**/*.pt"))
