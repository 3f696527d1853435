import math
import os
import signal

import numpy as np
import pytest
import torch

from tests.support import blocks
from zeroshot.base import errors, training
from zeroshot.images import image_files
from zeroshot.networks import backbone, supervised_training, training_images

folder = blocks.folder


def train(folder, **changes):
    """Train from the seed; return the network and the rows of the curve."""
    options = blocks.options(**changes)
    network = backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none")
    epochs = supervised_training.fit(
        network, blocks.dataset(folder, **changes), options, torch.device("cpu"), workers=0
    )
    return network, [row for row, _ in epochs]


def weights_of(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def cross_entropy(logits, target):
    """Return the mean of -log softmax over the valid pixels, computed pixel by pixel."""
    losses = [
        -(logits[b, row, i, j] - np.log(np.exp(logits[b, :, i, j]).sum()))
        for (b, i, j), row in np.ndenumerate(target)
        if row != 65535
    ]
    return np.mean(losses)


def test_loss_is_the_mean_over_valid_pixels_of_image_or_feature_map():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 3, 3, 3))
    target = random.choice([0, 1, 2, 65535], (2, 12, 12))
    loss = supervised_training._loss(
        torch.from_numpy(logits), torch.from_numpy(target), 4, "features", supervised_training.cross_entropy
    )
    assert loss.item() == pytest.approx(cross_entropy(logits, target[:, 2::4, 2::4]))

    # Bilinear interpolation by a factor of 3: weights 1, 2/3 and 1/3 between the centres of cells.
    positions = np.array([0, 0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2, 2])
    interpolation = np.clip(1 - np.abs(positions[:, None] - np.arange(3)), 0, None)
    resized = interpolation @ logits @ interpolation.T
    loss = supervised_training._loss(
        torch.from_numpy(logits),
        torch.from_numpy(target[:, :9, :9].copy()),
        3,
        "image",
        supervised_training.cross_entropy,
    )
    assert loss.item() == pytest.approx(cross_entropy(resized, target[:, :9, :9]))


@pytest.mark.parametrize("loss_at", ["image", "features"])
def test_batch_without_valid_pixels_has_zero_loss_and_gradient(loss_at):
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = supervised_training._loss(
        logits, torch.full((1, 8, 8), 65535), 4, loss_at, supervised_training.cross_entropy
    )
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


def test_training_lowers_the_loss_and_follows_the_poly_schedule(folder):
    _, rows = train(folder, epochs=6, repeat_threshold=0.0, dropout=0.0)
    assert [row["epoch"] for row in rows] == list(range(6))
    assert rows[-1]["loss"] < min(rows[0]["loss"], math.log(len(blocks.SEEN)))
    # An epoch has two steps, and its row has the learning rate of the last one.
    assert [row["lr"] for row in rows] == pytest.approx([0.01 * (1 - (2 * e + 1) / 12) ** 0.9 for e in range(6)])


def test_sgd_has_momentum_and_weight_decay(folder):
    """Without a gradient of the loss, weight decay alone changes the weights, by a recurrence that is known."""
    changes = {"momentum": 0.6, "weight_decay": 0.2, "lr": 0.1, "epochs": 2, "repeat_threshold": 0.0}
    options = blocks.options(**changes)
    network = backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none")
    initial = weights_of(network)
    epochs = supervised_training.fit(
        network,
        blocks.dataset(folder, **changes),
        options,
        torch.device("cpu"),
        workers=0,
        criterion=lambda outputs, target: 0 * outputs.sum(),
    )
    assert len(list(epochs)) == 2
    # Six images in batches of three make four steps.
    factor, velocity = 1.0, 0.0
    for step in range(4):
        velocity = 0.6 * velocity + 0.2 * factor
        factor -= 0.1 * (1 - step / 4) ** 0.9 * velocity
    weight = network.stem.get_parameter("0.0.weight")
    torch.testing.assert_close(weight.detach(), factor * initial["stem.0.0.weight"], rtol=1e-5, atol=1e-7)


def test_training_drops_features_before_the_classifier_and_in_the_aspp(folder):
    """A probability p of dropout sets a share p of the values to zero and divides the others by 1 - p."""
    options = blocks.options(dropout=0.2, batch_size=6, epochs=1)
    network = backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none")
    tensors = {}

    def store(name):
        return lambda _, inputs, output: tensors.update({name: (inputs[0].detach(), output.detach())})

    for name, module in (
        ("decoder", network.decoder),
        ("classifier", network.classifier),
        ("aspp's last convolution", network.aspp.project[1]),
        ("aspp", network.aspp),
    ):
        module.register_forward_hook(store(name))
    list(supervised_training.fit(network, blocks.dataset(folder), options, torch.device("cpu"), workers=0))
    pairs = {
        0.2: (tensors["decoder"][1], tensors["classifier"][0]),
        0.5: (tensors["aspp's last convolution"][1].relu(), tensors["aspp"][1]),
    }
    for probability, (before, after) in pairs.items():
        positive = before > 0
        zero = after[positive] == 0
        assert zero.double().mean().item() == pytest.approx(probability, abs=0.03)
        torch.testing.assert_close(after[positive][~zero], before[positive][~zero] / (1 - probability))


def test_learning_rate_of_the_head_has_its_multiplier(folder):
    """In the first step of SGD, a weight changes by its learning rate times its gradient."""
    changes_of = {}
    for multiplier in (1.0, 4.0):
        changes = {"batch_size": 6, "epochs": 1, "lr": 0.1, "weight_decay": 0.0, "head_lr_multiplier": multiplier}
        options = blocks.options(**changes)
        initial = dict(backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none").named_parameters())
        network, _ = train(folder, **changes)
        changes_of[multiplier] = {
            key: value.detach() - initial[key].detach() for key, value in network.named_parameters()
        }
    for key, change in changes_of[1.0].items():
        factor = 1.0 if key.startswith(("stem.", "trunk.")) else 4.0
        # Weights near 1 are rounded to 6e-8, so the error of a change is about 1e-7, and of 4 times a change 4e-7.
        torch.testing.assert_close(changes_of[4.0][key], factor * change, rtol=1e-3, atol=1e-6)
    assert all(changes_of[1.0][key].abs().max() > 1e-4 for key in ("classifier.weight", "stem.0.0.weight"))


@pytest.mark.parametrize(("freeze", "frozen"), [("stem", ["stem"]), ("encoder", ["stem", "trunk"])])
def test_frozen_modules_keep_weights_and_statistics(folder, freeze, frozen):
    changes = {"epochs": 1, "freeze": freeze}
    before = weights_of(backbone.build(blocks.options(**changes), len(blocks.SEEN), folder / "data/pretrained/none"))
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


def test_non_finite_loss_ends_training(folder):
    with pytest.raises(training.DivergedError) as caught:
        train(folder, lr=1e30)
    assert str(caught.value) in {
        f"training: the loss is {loss} in epoch 0, step 1; lower backbone.lr" for loss in ("nan", "inf")
    }


def test_errors_of_a_resumed_training_name_the_training(folder):
    options = blocks.options(epochs=2)
    network = backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none")
    arguments = (network, blocks.dataset(folder), options, torch.device("cpu"), 0)
    _, state = next(supervised_training.fit(*arguments))
    state["network"]["classifier.weight"] = torch.full_like(state["network"]["classifier.weight"], math.nan)
    with pytest.raises(training.DivergedError, match=r"^my training: the loss is nan in epoch 1, step 0; lower my.lr$"):
        list(supervised_training.fit(*arguments, state=state, name="my training", lr_key="my.lr"))


class Changed(torch.utils.data.Dataset):
    """The training images, each changed by a function."""

    def __init__(self, images, change):
        self.images, self.change = images, change
        self.paths, self.n_classes, self.row_of_label = images.paths, images.n_classes, images.row_of_label

    def __getitem__(self, key):
        return self.change(*self.images[key])


def fit(folder, change, workers):
    options = blocks.options(epochs=1)
    network = backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none")
    dataset = Changed(blocks.dataset(folder), change)
    list(supervised_training.fit(network, dataset, options, torch.device("cpu"), workers))
    return network


def test_small_targets_train_the_same_network_as_int64(folder):
    def as_uint16(image, target):
        return image, training_images.targets(target).to(torch.uint16)

    def as_int64(image, target):
        return image, training_images.targets(target)

    as_uint8, *others = (weights_of(fit(folder, change, 0)) for change in (lambda *item: item, as_uint16, as_int64))
    for other in others:
        assert all(torch.equal(as_uint8[name], other[name]) for name in as_uint8)


def die_of_a_bus_error(image, target):
    os.kill(os.getpid(), signal.SIGBUS)


def fail_to_share(image, target):
    raise RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)")


@pytest.mark.parametrize("change", [die_of_a_bus_error, fail_to_share])
def test_too_little_shared_memory_is_reported_with_the_key(folder, change):
    with pytest.raises(errors.UserError) as caught:
        fit(folder, change, 1)
    assert str(caught.value) == (
        "runtime.workers: is 1, and the processes that load training images have too little shared memory;"
        " set runtime.workers: 0, or enlarge /dev/shm (in Docker: --shm-size=1g)"
    )


def refuse(image, target):
    raise image_files.ImageError("a.png: cannot be decoded")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_named_without_a_traceback(folder, workers):
    with pytest.raises(errors.UserError, match=r"^a.png: cannot be decoded$"):
        fit(folder, refuse, workers)


def fail(image, target):
    raise RuntimeError("something else")


@pytest.mark.parametrize("workers", [0, 1])
def test_other_errors_of_loader_processes_are_not_changed(folder, workers):
    with pytest.raises(RuntimeError, match="something else"):
        fit(folder, fail, workers)


def test_a_finite_but_exploded_loss_is_refused_and_a_high_rate_that_learns_is_not(folder):
    with pytest.raises(
        training.DivergedError,
        match=r"^training: the loss of the last epoch is .*the training diverged; lower backbone.lr$",
    ):
        train(folder, lr=50.0, epochs=2)
    train(folder, lr=0.1, epochs=2)
