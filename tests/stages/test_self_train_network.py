"""The stage self_train_network, on the images of tests/support/blocks.py and one unlabelled image."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pandas
import PIL.Image
import pytest
import torch
import yaml

from stages import cut_last_layer, train_backbone
from stages.whole_network import self_train_network
from tests.support import blocks, caches
from zeroshot.base import checkpoints, command_line
from zeroshot.cache import index, rows
from zeroshot.datasets import splits
from zeroshot.networks import backbone, deeplab
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net import self_training_network
from zeroshot.zs3net.classifiers import last_layer

ARGUMENTS = {
    "--data-root": "data/blocks",
    "--split-path": "data/split.json",
    "--masks-dir": "data/masks/train",
    "--pseudo-dir": "features/pseudo",
    "--backbone-path": "models/backbone.pt",
    "--start-path": "models/classifiers/zs5net.pt",
    "--network-path": "models/networks/zs5net_network.pt",
    "--classifier-path": "models/classifiers/zs5net_network.pt",
    "--curve-path": "metrics/zs5net_network_curve.csv",
}
OUTS = tuple(ARGUMENTS[flag] for flag in ("--network-path", "--classifier-path", "--curve-path"))


def argv(arguments):
    return [word for pair in arguments.items() for word in pair]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a trained backbone, a classifier of all classes, an unlabelled image and its pseudo-labels."""
    folder = blocks.make(tmp_path_factory.mktemp("network") / "world", epochs=1)
    image = np.random.default_rng(9).integers(0, 255, (36, 40, 3), dtype=np.uint8)
    PIL.Image.fromarray(image).save(folder / "data/blocks/JPEGImages/u.png")
    split = dataclasses.replace(blocks.split(), unlabelled=(splits.Item("u", "JPEGImages/u.png"),))
    splits.write(folder / "data/split.json", split)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command_line.run(train_backbone.main, argv(blocks.ARGUMENTS))
        models = folder / "models"
        cut_last_layer.main(
            split_path=folder / "data/split.json",
            backbone_path=models / "backbone.pt",
            classifier_path=models / "classifiers/seen_only.pt",
        )
    start, facts = pixel_classifier.load(folder / "models/classifiers/seen_only.pt")
    extended = dataclasses.replace(last_layer.extend(start, blocks.UNSEEN), seen_bias=0.5)
    pixel_classifier.save(folder / "models/classifiers/zs5net.pt", extended, **facts)
    n = 40
    cells = np.random.default_rng(0).choice(90, n, replace=False)
    table = {
        "features": np.zeros((n, deeplab.FEATURE_DIM), np.float16),
        "label": np.full(n, blocks.UNSEEN[0], np.uint16),
        "image": np.zeros(n, np.int32),
        "view": np.zeros(n, np.uint8),
        "position": np.stack(np.unravel_index(cells, (9, 10)), axis=1).astype(np.uint16),
        "component": np.zeros(n, np.int32),
        "weight": np.ones(n, np.float32),
    }
    shard = folder / "features/pseudo/shard-00000.h5"
    rows.write(shard, table)
    offsets = [int((table["label"] < label).sum()) for label in range(len(blocks.CLASSES) + 1)]
    entry = caches.entry(shard, rows=n, offsets=offsets)
    index.write(shard.parent, index.Index("rows", deeplab.FEATURE_DIM, 4, list(blocks.CLASSES), ["u"], [entry], {}))
    return folder


def run(folder, monkeypatch, **changes):
    monkeypatch.chdir(folder)
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"}
    section = {"epochs": 2, "lr": 0.01, "seed": 0} | changes
    pathlib.Path("params.yaml").write_text(yaml.safe_dump({"self_training_network": section, "runtime": runtime}))
    command_line.run(self_train_network.main, argv(ARGUMENTS))


def test_classes_that_no_network_learns_are_refused(trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained, tmp_path / "copy")
    split = dataclasses.replace(splits.read(folder / "data/split.json"), train_unseen=(blocks.SEEN[-1],))
    splits.write(folder / "data/split.json", split)
    with pytest.raises(SystemExit, match="^self_train_network: trains a network on all seen classes"):
        run(folder, monkeypatch)


def content(folder):
    return {out: (folder / out).read_bytes() for out in OUTS}


def test_network_and_last_layer_agree_and_learn_the_unseen_class(trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained, tmp_path / "copy")
    run(folder, monkeypatch, epochs=2)
    model, _ = pixel_classifier.load("models/classifiers/zs5net_network.pt")
    assert model.labels.tolist() == [0, 1, 2, 3, 4] and model.labels[model.unseen].tolist() == list(blocks.UNSEEN)
    assert model.seen_bias == 0.5
    # The row of the unseen class starts from zeros, and only pseudo-labels have this class.
    assert model.weight[1].abs().sum() > 0 and model.bias[1] > 0
    network = backbone.load(checkpoints.load("models/networks/zs5net_network.pt"))
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        cells = network.features(image)[0].flatten(1).T
        logits = network(image)[0].flatten(1).T
    plain = dataclasses.replace(model, seen_bias=0.0)
    torch.testing.assert_close(plain.logits(cells), logits, rtol=1e-4, atol=1e-4)
    assert pandas.read_csv("metrics/zs5net_network_curve.csv")["epoch"].tolist() == [0, 1]
    assert not [path for path in pathlib.Path("work").rglob("*") if path.is_file()]


def test_without_pseudo_labels_the_stage_and_its_model_say_so(trained, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(trained, tmp_path / "copy")
    run(folder, monkeypatch, epochs=1)
    assert "pseudo-labels" not in capsys.readouterr().out
    assert "no_pseudo_labels" not in pixel_classifier.load("models/classifiers/zs5net_network.pt")[1]
    cache = folder / "features/pseudo"
    index.write(cache, dataclasses.replace(index.read(cache), shards=[]))
    run(folder, monkeypatch, epochs=1)
    assert capsys.readouterr().out == (
        "self_train_network: no pseudo-labels, since the rule selected no pixel; the row of ZS5Net is no result of self-training\n"
    )
    assert pixel_classifier.load("models/classifiers/zs5net_network.pt")[1]["no_pseudo_labels"] is True


def test_layers_frozen_in_the_backbone_are_trained(trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained, tmp_path / "copy")
    before = checkpoints.load(folder / "models/backbone.pt")
    (folder / "models/backbone.pt").unlink()
    frozen = before | {"config": before["config"] | {"freeze": "encoder"}}
    checkpoints.save(folder / "models/backbone.pt", frozen)
    run(folder, monkeypatch, epochs=1)
    after = checkpoints.load("models/networks/zs5net_network.pt")["network"]
    encoder = [name for name in after if name.startswith(("stem.", "trunk.")) and name.endswith("weight")]
    assert encoder and not any(torch.equal(after[name], before["network"][name]) for name in encoder)


def test_the_network_starts_from_the_backbone_and_the_classifier(trained):
    checkpoint = checkpoints.load(trained / "models/backbone.pt")
    start, _ = pixel_classifier.load(trained / "models/classifiers/zs5net.pt")
    network = self_training_network.build(checkpoint, start).eval()
    before = backbone.load(checkpoint)
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(network(image)[:, [0, 2, 3, 4]], before(image))
        assert (network(image)[:, 1] == 0).all()
    classifier = self_training_network.last_layer(network, start)
    order = start.labels.argsort()
    assert torch.equal(classifier.weight, start.weight[order]) and torch.equal(classifier.bias, start.bias[order])


def test_a_killed_training_resumes_to_the_same_bytes(trained, tmp_path, monkeypatch):
    whole, killed = (shutil.copytree(trained, tmp_path / name) for name in ("whole", "killed"))
    run(whole, monkeypatch)
    save, calls = checkpoints.save, []

    def die_after_first(path, checkpoint):
        save(path, checkpoint)
        calls.append(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", die_after_first)
        with pytest.raises(KeyboardInterrupt):
            run(killed, monkeypatch)
    assert len(calls) == 1
    run(killed, monkeypatch)
    assert content(killed) == content(whole)
