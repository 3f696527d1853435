import collections
import math

import numpy as np
import pytest
import torch

from tests import blocks
from zs3 import images, training
from zs3.network import backbone, training_images, weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return blocks.make(tmp_path_factory.mktemp("blocks"))


def train(folder, **changes):
    """Train from the seed and return the network and the rows."""
    options = blocks.options(**changes)
    network = backbone.build(options, len(blocks.SEEN), folder / "none")
    epochs = backbone.fit(network, blocks.dataset(folder, **changes), options, torch.device("cpu"), workers=0)
    return network, [row for row, _ in epochs]


def weights_of(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def test_an_item_depends_on_its_key_alone(folder):
    first, second = (blocks.dataset(folder) for _ in range(2))
    keys = [(0, 0, 1), (0, 1, 1), (1, 0, 1), (3, 5, 2)]
    items = [first[key] for key in keys]
    for key, (image, target) in reversed(list(zip(keys, items, strict=True))):
        again = second[key]
        assert torch.equal(again[0], image) and torch.equal(again[1], target)
        assert image.shape == (3, 32, 32) and image.dtype == torch.uint8
        assert target.shape == (32, 32) and target.dtype == torch.int64
    # The same picture in three places of the training is three views.
    assert len({image.numpy().tobytes() for image, _ in items[:3]}) == 3
    assert not torch.equal(blocks.dataset(folder, seed=1)[keys[0]][0], items[0][0])


def test_targets_are_rows_of_seen_classes(folder):
    plain = {**blocks.AUGMENTATION, "crop": 64, "scales": [1, 1], "flip": 0, "blur": 0}
    dataset = blocks.dataset(folder, augmentation=plain)
    row_of = {0: 0, 2: 1, 3: 2, 4: 3, 255: 255}
    for index, quarters in enumerate(blocks.TRAIN.values()):
        image, target = dataset[0, 0, index]
        expected = np.full((64, 64), 255)
        expected[:36, :40] = np.vectorize(row_of.get)(blocks.mask(quarters))
        np.testing.assert_array_equal(target.numpy(), expected)
        stored = images.read_image(folder / f"data/blocks/JPEGImages/{'abcdef'[index]}.png")
        np.testing.assert_array_equal(image[:, :36, :40].permute(1, 2, 0).numpy(), stored)


def test_an_unseen_label_cannot_be_told_from_an_ignored_pixel(tmp_path):
    """Were a mask ever to break the protocol, neither the targets nor the draw weights of seen classes would show it."""
    targets = []
    for name, label in (("unseen", 1), ("ignored", 255)):
        folder = blocks.make(tmp_path / name)
        images.write_mask(folder / "data/masks/train/c.png", blocks.mask((2, label, 0, 3)))
        dataset = blocks.dataset(folder)
        targets.append([dataset[0, position, 2][1] for position in range(4)])
    assert all(torch.equal(a, b) for a, b in zip(*targets, strict=True))
    assert all(target[target != 255].max() < len(blocks.SEEN) for target in targets[0])


def test_image_weights_are_lviss_repeat_factors(folder):
    holders = collections.Counter(label for quarters in blocks.TRAIN.values() for label in set(quarters) - {255})
    for threshold in (0.1, 0.3, 0.5, 1.0):
        repeats = []
        for quarters in blocks.TRAIN.values():
            shares = [holders[label] / len(blocks.TRAIN) for label in set(quarters) - {255}]
            repeats.append(max(max(1.0, math.sqrt(threshold / share)) for share in shares))
        found = training_images.image_weights(blocks.dataset(folder), threshold)
        np.testing.assert_allclose(found, np.array(repeats) / sum(repeats))


def test_without_repeats_all_images_count_alike(folder, monkeypatch):
    monkeypatch.setattr(images, "read_mask", lambda path: pytest.fail("no mask needs to be read"))
    np.testing.assert_array_equal(training_images.image_weights(blocks.dataset(folder), 0.0), np.full(6, 1 / 6))


@pytest.mark.parametrize(("n", "batch_size", "n_batches", "size"), [(10, 4, 2, 4), (8, 4, 2, 4), (3, 8, 1, 3)])
def test_batches_are_full_and_no_image_comes_twice_in_an_epoch(n, batch_size, n_batches, size):
    options = blocks.options(batch_size=batch_size, repeat_threshold=0)
    for epoch in range(5):
        batches = training_images.batches(np.full(n, 1 / n), epoch, options)
        assert [len(batch) for batch in batches] == [size] * n_batches
        keys = [key for batch in batches for key in batch]
        assert [key[:2] for key in keys] == [(epoch, position) for position in range(n_batches * size)]
        indices = [index for *_, index in keys]
        assert len(set(indices)) == len(indices) and set(indices) <= set(range(n))
        assert all(type(index) is int for index in indices)


def test_batches_follow_seed_and_epoch():
    draw_weights = np.full(20, 0.05)

    def drawn(seed, epoch, threshold=0.0):
        options = blocks.options(seed=seed, batch_size=20, repeat_threshold=threshold)
        return tuple(index for *_, index in training_images.batches(draw_weights, epoch, options)[0])

    for threshold in (0.0, 0.5):
        orders = {(seed, epoch): drawn(seed, epoch, threshold) for seed in range(3) for epoch in range(3)}
        assert len(set(orders.values())) == 9
        assert all(drawn(*key, threshold) == order for key, order in orders.items())


def test_images_are_drawn_as_often_as_their_weights_say():
    draw_weights = np.array([0.1, 0.2, 0.3, 0.4])
    options = blocks.options(batch_size=4)
    counts = np.zeros(4)
    for epoch in range(500):
        for *_, index in training_images.batches(draw_weights, epoch, options)[0]:
            counts[index] += 1
    # Four standard deviations of the binomial.
    assert (np.abs(counts - 2000 * draw_weights) < 4 * np.sqrt(2000 * draw_weights * (1 - draw_weights))).all()


def cross_entropy(logits, target):
    """Return the mean of -log softmax over the valid pixels, pixel by pixel."""
    losses = [
        -(logits[b, row, i, j] - np.log(np.exp(logits[b, :, i, j]).sum()))
        for (b, i, j), row in np.ndenumerate(target)
        if row != 255
    ]
    return np.mean(losses)


def test_the_loss_is_the_mean_over_valid_pixels_of_image_or_feature_map():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 3, 3, 3))
    target = random.choice([0, 1, 2, 255], (2, 12, 12))
    found = backbone._loss(torch.from_numpy(logits), torch.from_numpy(target), "features", backbone.cross_entropy)
    assert found.item() == pytest.approx(cross_entropy(logits, target[:, 2::4, 2::4]))

    # A threefold resize of blocks of one colour to pixels, by hand: weights 1, 2/3 and 1/3 between centres.
    thirds = np.array([0, 0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2, 2])
    near = np.clip(1 - np.abs(thirds[:, None] - np.arange(3)), 0, None)
    resized = near @ logits @ near.T
    found = backbone._loss(
        torch.from_numpy(logits), torch.from_numpy(target[:, :9, :9].copy()), "image", backbone.cross_entropy
    )
    assert found.item() == pytest.approx(cross_entropy(resized, target[:, :9, :9]))


@pytest.mark.parametrize("loss_at", ["image", "features"])
def test_a_batch_without_a_valid_pixel_has_no_loss_and_no_gradient(loss_at):
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = backbone._loss(logits, torch.full((1, 8, 8), 255), loss_at, backbone.cross_entropy)
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


def test_training_lowers_the_loss_and_rows_carry_the_poly_schedule(folder):
    _, rows = train(folder, epochs=6, repeat_threshold=0.0, dropout=0.0)
    assert [row["epoch"] for row in rows] == list(range(6))
    assert rows[-1]["loss"] < min(rows[0]["loss"], math.log(len(blocks.SEEN)))
    # Two steps an epoch; a row tells the rate of its last step.
    assert [row["lr"] for row in rows] == pytest.approx([0.01 * (1 - (2 * e + 1) / 12) ** 0.9 for e in range(6)])


def test_the_head_learns_faster_by_its_multiplier(folder):
    """In the first step of SGD a weight moves by its rate times its gradient."""
    moves = {}
    for multiplier in (1.0, 4.0):
        changes = {"batch_size": 6, "epochs": 1, "lr": 0.1, "weight_decay": 0.0, "head_lr_multiplier": multiplier}
        options = blocks.options(**changes)
        start = dict(backbone.build(options, len(blocks.SEEN), folder / "none").named_parameters())
        network, _ = train(folder, **changes)
        moves[multiplier] = {key: value.detach() - start[key].detach() for key, value in network.named_parameters()}
    for key, move in moves[1.0].items():
        factor = 1.0 if key.startswith(("stem.", "trunk.")) else 4.0
        # A weight near 1 is stored to 6e-8, so a move is known to about 1e-7, and four times it to 4e-7.
        torch.testing.assert_close(moves[4.0][key], factor * move, rtol=1e-3, atol=1e-6)
    assert all(moves[1.0][key].abs().max() > 1e-4 for key in ("classifier.weight", "stem.0.0.weight"))


@pytest.mark.parametrize(("freeze", "frozen"), [("stem", ["stem"]), ("encoder", ["stem", "trunk"])])
def test_what_is_frozen_keeps_weights_and_statistics(folder, freeze, frozen):
    changes = {"epochs": 1, "freeze": freeze}
    before = weights_of(backbone.build(blocks.options(**changes), len(blocks.SEEN), folder / "none"))
    network, _ = train(folder, **changes)
    after = weights_of(network)
    for part in ("stem", "trunk", "aspp", "decoder", "classifier"):
        keys = [key for key in before if key.startswith(f"{part}.")]
        if part in frozen:
            assert any("running_mean" in key for key in keys) and any("num_batches_tracked" in key for key in keys)
            assert all(torch.equal(before[key], after[key]) for key in keys)
        else:
            assert any(not torch.equal(before[key], after[key]) for key in keys)
    trained = "aspp.convs.0.1.running_mean" if "trunk" in frozen else "trunk.0.4.conv.1.1.running_mean"
    assert not torch.equal(before[trained], after[trained])


def test_a_loss_that_is_no_number_ends_the_training(folder):
    with pytest.raises(training.DivergedError) as caught:
        train(folder, lr=1e30)
    assert str(caught.value) in {
        f"train_backbone: the loss is {loss} in epoch 0, step 1; lower the learning rate" for loss in ("nan", "inf")
    }


def test_the_last_layer_gives_the_networks_logits(folder):
    network = backbone.build(blocks.options(dropout=0.5), len(blocks.SEEN), folder / "none").eval()
    layer = backbone.last_layer(network, blocks.split())
    assert layer.labels.tolist() == list(blocks.SEEN) and not layer.unseen.any() and layer.seen_bias == 0
    pictures = torch.randint(0, 256, (1, 3, 24, 20), dtype=torch.uint8)
    with torch.no_grad():
        features = network.features(pictures)[0].flatten(1).T
        logits = network(pictures)[0].flatten(1).T
    torch.testing.assert_close(layer.logits(features), logits, rtol=1e-5, atol=1e-5)


def test_the_network_starts_from_its_seed(folder):
    first, same, other = (
        weights_of(backbone.build(blocks.options(seed=seed), 4, folder / "none")) for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_weights_come_from_where_the_options_say(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(weights, "read_file", lambda path: asked.append(path) or {"from": "file"})
    monkeypatch.setattr(weights, "read_torchvision", lambda *names: asked.append(names) or {"from": "torchvision"})
    monkeypatch.setattr(weights, "load_encoder", lambda _, *arguments: asked.append(arguments))
    backbone.build(blocks.options(), 4, tmp_path / "w.pth")
    assert asked == []
    backbone.build(blocks.options(weights="file", partial_weights=True), 4, tmp_path / "w.pth")
    backbone.build(blocks.options(weights="IMAGENET1K_V2"), 4, tmp_path / "w.pth")
    assert asked == [
        tmp_path / "w.pth",
        ("mobilenet_v2", {"from": "file"}, True),
        ("mobilenet_v2", "IMAGENET1K_V2"),
        ("mobilenet_v2", {"from": "torchvision"}, False),
    ]
