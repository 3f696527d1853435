"""The semantic loss of the backbone: its head, what it adds to training, and what the stage train_backbone does with it."""

import numpy as np
import pytest
import torch

from stages import train_backbone
from tests import blocks
from zs3 import checkpoints, embeddings
from zs3.network import backbone, semantic_head

folder = blocks.folder
VECTORS = np.random.default_rng(0).normal(size=(len(blocks.CLASSES), 3)).astype(np.float32)
ON = {"semantic": {"weight": 1.0, "scale": 4.0, "vectors": "data/vectors"}}


class Killed(BaseException):
    """Ends a stage where a kill might."""


def head(scale=4.0):
    torch.manual_seed(0)
    classes = torch.nn.functional.normalize(torch.from_numpy(VECTORS[list(blocks.SEEN)]), dim=1)
    return semantic_head.SemanticHead(classes, 256, scale)


def first_step(folder, module, weight=1.0):
    """Return weights before and after one step of SGD on all six pictures, and the loss."""
    changes = {"epochs": 1, "batch_size": 6, "dropout": 0.0, "weight_decay": 0.0, "repeat_threshold": 0.0}
    changes["semantic"] = ON["semantic"] | {"weight": weight}
    options = blocks.options(**changes)
    network = backbone.build(options, len(blocks.SEEN), folder / "none")
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    epochs = backbone.fit(
        network, blocks.dataset(folder, **changes), options, torch.device("cpu"), workers=0, semantic=module
    )
    [(row, _)] = epochs
    return before, dict(network.named_parameters()), row["loss"]


def make(folder, vectors=VECTORS, **changes):
    blocks.make(folder, **{**ON, **changes})
    embeddings.write(folder / "data/vectors", embeddings.ClassEmbeddings(blocks.CLASSES, vectors), {})
    return folder


def run(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train_backbone.main([word for pair in blocks.ARGUMENTS.items() for word in pair])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder in which the stage ran with the loss on."""
    folder = make(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


def test_logits_are_scaled_cosines_of_projected_features_and_class_vectors():
    module = head(scale=5.0)
    features = torch.randn(2, 256, 3, 4)
    found = module(features).detach().numpy()
    weight, bias = (value.detach().numpy() for value in module.project.parameters())
    for b, i, j in np.ndindex(2, 3, 4):
        projected = weight[:, :, 0, 0] @ features[b, :, i, j].numpy() + bias
        for row, label in enumerate(blocks.SEEN):
            vector = VECTORS[label]
            cosine = projected @ vector / np.linalg.norm(projected) / np.linalg.norm(vector)
            assert found[b, row, i, j] == pytest.approx(5 * cosine, abs=1e-5)


def test_in_half_precision_the_cosines_are_float32():
    with torch.autocast("cpu", torch.bfloat16):
        assert head()(torch.randn(1, 256, 2, 2)).dtype == torch.float32


def test_the_loss_is_added_by_its_weight_and_moves_the_decoder(folder):
    """In the first step of SGD a weight moves by its rate times its gradient, so moves add up as losses do."""
    moves, losses = {}, {}
    for weight in (0.0, 1.0, 3.0):
        before, after, losses[weight] = first_step(folder, head(), weight)
        moves[weight] = {name: (after[name] - before[name]).detach() for name in before}
    plain = first_step(folder, None)
    assert losses[0.0] == plain[2] and losses[1.0] > losses[0.0]
    assert losses[3.0] - losses[0.0] == pytest.approx(3 * (losses[1.0] - losses[0.0]), rel=1e-4)
    decoder, last = "decoder.8.bias", "classifier.weight"
    assert torch.equal(plain[1][decoder], plain[0][decoder] + moves[0.0][decoder])
    one, three = ((moves[weight][decoder] - moves[0.0][decoder]) for weight in (1.0, 3.0))
    assert one.abs().max() > 1e-5
    torch.testing.assert_close(three, 3 * one, rtol=1e-2, atol=1e-5)
    assert torch.equal(moves[0.0][last], moves[3.0][last])


def test_the_saved_network_has_no_such_head(whole, tmp_path):
    checkpoint = checkpoints.load(whole / "models/backbone.pt")
    assert checkpoint["config"]["semantic"]["weight"] == 1.0
    plain = blocks.make(tmp_path / "plain")
    run(plain)
    without = checkpoints.load(plain / "models/backbone.pt")["network"]
    assert list(checkpoint["network"]) == list(without)
    assert not torch.equal(checkpoint["network"]["classifier.weight"], without["classifier.weight"])
    backbone.load(checkpoint)


def test_vectors_of_unseen_classes_change_nothing_and_those_of_seen_classes_do(whole, tmp_path):
    others = {}
    for name, label in (("unseen", blocks.UNSEEN[0]), ("seen", blocks.SEEN[1])):
        vectors = VECTORS.copy()
        vectors[label] = 0 if name == "unseen" else -vectors[label]
        others[name] = make(tmp_path / name, vectors)
        run(others[name])
    assert blocks.outputs(others["unseen"]) == blocks.outputs(whole)
    assert blocks.outputs(others["seen"])["models/backbone.pt"] != blocks.outputs(whole)["models/backbone.pt"]


def test_a_killed_training_goes_on_with_its_head(whole, tmp_path, monkeypatch):
    folder = make(tmp_path / "killed")
    save = checkpoints.save

    def save_and_die(path, checkpoint):
        save(path, checkpoint)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_die)
        with pytest.raises(Killed):
            run(folder)
    run(folder)
    assert blocks.outputs(folder) == blocks.outputs(whole)


def test_other_vectors_do_not_go_on_from_an_interrupted_training(tmp_path, monkeypatch):
    folder = make(tmp_path / "killed")
    looked_for = []
    monkeypatch.setattr(backbone, "fit", lambda *_, **__: iter(()))
    monkeypatch.setattr(train_backbone.resuming, "run", lambda file, *_: looked_for.append(file) or [].pop())
    for factor in (1, 1, 2):
        vectors = embeddings.ClassEmbeddings(blocks.CLASSES, factor * VECTORS)
        embeddings.write(folder / "data/vectors", vectors, {})
        with pytest.raises(IndexError):
            run(folder)
    assert looked_for[0] == looked_for[1] != looked_for[2]


@pytest.mark.parametrize(
    ("weight", "content", "said"),
    [
        (0.0, b"x", "data/vectors is not empty; weight: 0 needs data/pretrained/none"),
        (1.0, b"", "data/vectors is empty; weight: 1.0 needs data/class_embeddings.h5"),
    ],
)
def test_vectors_that_are_not_used_and_a_loss_without_vectors_are_refused(tmp_path, weight, content, said):
    folder = blocks.make(tmp_path / "blocks", semantic={**ON["semantic"], "weight": weight})
    (folder / "data/vectors").write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        run(folder)
    assert str(caught.value) == f"backbone.semantic.vectors: {said}"
