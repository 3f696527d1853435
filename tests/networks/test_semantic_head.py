"""Tests of the semantic loss of the backbone: its head, its gradient, and the stage train_backbone with the loss."""

import numpy as np
import pytest
import torch

from stages import train_backbone
from tests.support import blocks
from zeroshot.base import checkpoints, command_line, resuming
from zeroshot.networks import backbone, semantic_head, supervised_training
from zeroshot.words import class_embeddings

folder = blocks.folder
NAMES = tuple(blocks.CLASSES[label] for label in blocks.SEEN)
VECTORS = np.random.default_rng(0).normal(size=(len(NAMES), 3)).astype(np.float32)


class Killed(BaseException):
    """Raised to end a stage as a kill does."""


def head(weight=1.0, scale=4.0):
    torch.manual_seed(0)
    classes = torch.nn.functional.normalize(torch.from_numpy(VECTORS), dim=1)
    return semantic_head.SemanticHead(classes, 256, blocks.options(semantic=section(weight, scale)).semantic)


def section(weight=1.0, scale=4.0):
    return {"vectors": "data/vectors", "weight": weight, "scale": scale}


def first_step(folder, module, **changes):
    """Return the change of each weight in one step of SGD on all six images, and the loss."""
    changes = {"epochs": 1, "batch_size": 6, "dropout": 0.0, "weight_decay": 0.0, "repeat_threshold": 0.0, **changes}
    options = blocks.options(**changes)
    network = backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none")
    modules = torch.nn.ModuleDict({"network": network} if module is None else {"network": network, "head": module})
    before = {name: value.detach().clone() for name, value in modules.named_parameters()}
    epochs = supervised_training.fit(
        network, blocks.dataset(folder, **changes), options, torch.device("cpu"), workers=0, semantic=module
    )
    [(row, _)] = epochs
    return {name: (value - before[name]).detach() for name, value in modules.named_parameters()}, row["loss"]


def make(folder, vectors=VECTORS, **changes):
    blocks.make(folder, **changes)
    class_embeddings.write(folder / "data/vectors", class_embeddings.ClassEmbeddings(NAMES, vectors), {})
    return folder


def run(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command_line.run(train_backbone.main, [word for pair in blocks.ARGUMENTS.items() for word in pair])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a folder in which the stage ran with the semantic loss."""
    folder = make(tmp_path_factory.mktemp("finished"))
    run(folder)
    return folder


def cosine_logits(projected, scale):
    """Return the scaled cosines between one projected feature and every class vector."""
    return [scale * projected @ v / np.linalg.norm(projected) / np.linalg.norm(v) for v in VECTORS.astype(np.float64)]


def test_logits_are_scaled_cosines():
    module = head(scale=5.0)
    features = torch.randn(2, 256, 3, 4)
    logits = module(features).detach().numpy()
    weight, bias = (value.detach().numpy() for value in module.project.parameters())
    for b, i, j in np.ndindex(2, 3, 4):
        projected = weight[:, :, 0, 0] @ features[b, :, i, j].numpy() + bias
        assert logits[b, :, i, j] == pytest.approx(cosine_logits(projected, 5), abs=1e-5)


def test_mixed_precision_rounds_the_projection_only():
    module = head(scale=16.0)
    features = torch.randn(1, 256, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        logits = module(features)
        projected = module.project(features)
    assert projected.dtype == torch.bfloat16 and logits.dtype == torch.float32
    for i, j in np.ndindex(2, 2):
        exact = cosine_logits(projected[0, :, i, j].detach().double().numpy(), 16)
        # Cosines in bfloat16 would have errors up to 16 * 2**-9, about 0.03.
        assert logits[0, :, i, j].detach().numpy() == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("loss_at", ["image", "features"])
def test_loss_is_added_with_its_weight_and_reaches_the_decoder(folder, loss_at):
    """In the first step of SGD, a weight changes by its learning rate times its gradient, so changes add up as losses do."""
    plain, loss = first_step(folder, None, loss_at=loss_at)
    with_loss = {weight: first_step(folder, head(weight), loss_at=loss_at) for weight in (1.0, 3.0)}
    assert with_loss[3.0][1] - loss == pytest.approx(3 * (with_loss[1.0][1] - loss), rel=1e-4)
    decoder, last = "network.decoder.8.bias", "network.classifier.weight"
    one, three = (with_loss[weight][0][decoder] - plain[decoder] for weight in (1.0, 3.0))
    assert one.abs().max() > 1e-5
    torch.testing.assert_close(three, 3 * one, rtol=1e-2, atol=1e-5)
    assert torch.equal(with_loss[3.0][0][last], plain[last])


def test_loss_follows_loss_at(folder):
    extra = [
        first_step(folder, head(), loss_at=at)[1] - first_step(folder, None, loss_at=at)[1]
        for at in ("image", "features")
    ]
    assert abs(extra[0] - extra[1]) > 1e-3


def test_head_has_the_learning_rate_of_the_networks_head(folder):
    changes = [first_step(folder, head(), head_lr_multiplier=m)[0]["head.project.weight"] for m in (1.0, 4.0)]
    assert changes[0].abs().max() > 1e-4
    torch.testing.assert_close(changes[1], 4 * changes[0], rtol=1e-3, atol=1e-6)


def test_training_with_a_frozen_encoder_in_mixed_precision(folder):
    changes, loss = first_step(folder, head(), freeze="encoder", precision="bfloat16")
    assert (
        np.isfinite(loss)
        and changes["head.project.weight"].abs().max() > 0
        and not changes["network.stem.0.0.weight"].any()
    )


def test_saved_network_has_no_semantic_head(finished, tmp_path):
    checkpoint = checkpoints.load(finished / "models/backbone.pt")
    plain = blocks.make(tmp_path / "plain")
    run(plain)
    without = checkpoints.load(plain / "models/backbone.pt")["network"]
    assert list(checkpoint["network"]) == list(without)
    assert not torch.equal(checkpoint["network"]["classifier.weight"], without["classifier.weight"])
    backbone.load(checkpoint)


def test_training_is_invariant_to_the_length_of_vectors(finished, tmp_path):
    longer, turned = make(tmp_path / "longer", 2 * VECTORS), make(tmp_path / "turned", VECTORS[:, ::-1].copy())
    run(longer)
    run(turned)
    assert blocks.outputs(longer) == blocks.outputs(finished)
    assert blocks.outputs(turned) != blocks.outputs(finished)


def test_killed_training_resumes_with_its_head(finished, tmp_path, monkeypatch):
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
    assert blocks.outputs(folder) == blocks.outputs(finished)


def test_training_with_other_vectors_is_not_resumed(tmp_path, monkeypatch):
    folder = make(tmp_path / "killed")
    resume_paths = []

    def record_and_die(file, *_):
        resume_paths.append(file)
        raise Killed

    monkeypatch.setattr(resuming, "run", record_and_die)
    for factor in (1, 1, 2):
        class_embeddings.write(folder / "data/vectors", class_embeddings.ClassEmbeddings(NAMES, factor * VECTORS), {})
        with pytest.raises(Killed):
            run(folder)
    assert resume_paths[0] == resume_paths[1] != resume_paths[2]


def test_vectors_of_other_classes_are_refused(tmp_path):
    folder = make(tmp_path / "blocks")
    vectors = np.ones((len(blocks.CLASSES), 3), np.float32)
    class_embeddings.write(folder / "data/vectors", class_embeddings.ClassEmbeddings(blocks.CLASSES, vectors), {})
    with pytest.raises(SystemExit) as caught:
        run(folder)
    needed, contained = ", ".join(NAMES), ", ".join(blocks.CLASSES)
    assert str(caught.value) == f"data/vectors: contains vectors of {contained}; needed are those of {needed}"
    assert not any((folder / name).exists() for name in blocks.OUTS)


def test_directions_have_length_1_and_preserve_cosines():
    directions = semantic_head.directions(torch.from_numpy(VECTORS)).numpy()
    assert directions.shape == VECTORS.shape
    lengths = np.linalg.norm(VECTORS, axis=1)
    np.testing.assert_allclose(directions @ directions.T, VECTORS @ VECTORS.T / np.outer(lengths, lengths), atol=1e-6)


def test_direction_of_a_zero_vector_is_orthogonal_to_all_others():
    vectors = np.concatenate([np.zeros((1, 3), np.float32), VECTORS])
    directions = semantic_head.directions(torch.from_numpy(vectors)).numpy()
    assert directions.shape == (len(vectors), 4)
    np.testing.assert_allclose(directions[0] @ directions.T, np.eye(len(vectors))[0], atol=1e-6)
    np.testing.assert_allclose(
        directions[1:, :3], semantic_head.directions(torch.from_numpy(VECTORS)).numpy(), atol=1e-6
    )
