"""Training: the schedule, the refusal of losses that are not finite, and resuming."""

import pytest
import torch

from tests.support import disks_and_squares, two_ranks
from zeroshot.base import ranks, training
from zeroshot.networks import data_parallel
from zeroshot.zsi import detector_training, instances_dataset

LOSSES = {"objectness", "rpn_box", "classification", "box", "box_reconstruction", "mask", "mask_reconstruction"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return disks_and_squares.write(tmp_path_factory.mktemp("disks"))


def fit(folder, detector=None, state=None, **changes):
    """Return the detector, and the rows and states of its training."""
    options = disks_and_squares.options(**changes)
    images = instances_dataset.TrainingInstances(
        folder / "data/zsi/train.json", folder / "data/images/train", disks_and_squares.CLASSES, options
    )
    detector = detector or disks_and_squares.new_detector(**changes)
    epochs = detector_training.fit(detector, images, options, torch.device("cpu"), 0, state)
    rows, states = [], []
    for row, of_epoch in epochs:
        rows.append(row)
        states.append(
            {
                **of_epoch,
                "network": {name: value.clone() for name, value in of_epoch["network"].items()},
                "optimizer": torch.utils._pytree.tree_map(
                    lambda value: value.clone() if isinstance(value, torch.Tensor) else value, of_epoch["optimizer"]
                ),
            }
        )
    return detector, rows, states


def test_the_curve_has_every_loss_without_its_weight(folder):
    _, (row, _), _ = fit(folder, box_head={"reconstruction": 2.0})
    assert set(row) == {"epoch", "loss", "lr"} | LOSSES
    weights = {"box_reconstruction": 2.0, "mask_reconstruction": 0.5}
    assert row["loss"] == pytest.approx(sum(weights.get(name, 1.0) * row[name] for name in LOSSES), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_interrupted_training_goes_on_to_the_same_weights(folder, optimizer):
    whole, rows, states = fit(folder, optimizer=optimizer)
    again, later_rows, _ = fit(folder, state=states[0], optimizer=optimizer)
    assert later_rows == rows[1:]
    one, other = whole.state_dict(), again.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_learning_rate_warms_up_from_a_third_and_decays_after_the_given_epochs():
    options = disks_and_squares.options(lr=0.3, warmup_steps=4, decay_after=[8, 11])
    rates = [detector_training.learning_rate(0, step, options) for step in (0, 2, 4, 5)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.3])
    rates = [detector_training.learning_rate(epoch, 1000, options) for epoch in (7, 8, 10, 11)]
    assert rates == pytest.approx([0.3, 0.03, 0.03, 0.003])


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_key(folder):
    text = r"train_detector: the loss is (nan|inf) in epoch \d, step \d; lower detector\.lr"
    with pytest.raises(training.DivergedError, match=text):
        fit(folder, lr=1e30, optimizer="sgd", clip_norm=1e30)


@pytest.mark.parametrize(
    ("freeze", "trained"), [("nothing", (True, True)), ("stem", (False, True)), ("encoder", (False, False))]
)
def test_frozen_layers_do_not_change(folder, freeze, trained):
    initial = disks_and_squares.new_detector().state_dict()
    detector, _, _ = fit(folder, freeze=freeze, epochs=1)
    state = detector.state_dict()
    for part, is_trained in zip(("stem", "trunk"), trained, strict=True):
        name = f"backbone.{part}.0.weight"
        assert torch.equal(state[name], initial[name]) != is_trained
    assert not torch.equal(state["box_head.encoder.0.weight"], initial["box_head.encoder.0.weight"])


def test_frozen_batch_statistics_do_not_change(folder):
    changes = {"encoder": "mobilenet_v2", "anchors": {"sizes": [8, 16, 32, 64, 128]}, "epochs": 1, "freeze": "stem"}
    initial = disks_and_squares.new_detector(**changes).state_dict()
    detector, _, _ = fit(folder, **changes)
    state = detector.state_dict()
    first, last = "backbone.body.0.1.running_mean", "backbone.body.18.1.running_mean"
    assert torch.equal(state[first], initial[first]) and not torch.equal(state[last], initial[last])


def trained(folder, changes):
    """Return the weights and the rows of a training."""
    detector, rows, _ = fit(folder, **changes)
    return {name: value.clone() for name, value in detector.state_dict().items()}, rows


def test_two_ranks_train_one_detector_on_shares_of_each_batch(folder, tmp_path):
    changes = {"batch_size": 4, "epochs": 1, "optimizer": "sgd", "lr": 0.005}
    initial = disks_and_squares.new_detector(**changes).state_dict()
    alone, (alone_row,) = trained(folder, changes)
    (first, (row,)), (second, (second_row,)) = two_ranks.results(tmp_path, trained, folder, changes)
    assert row == second_row
    assert all(torch.equal(first[name], second[name]) for name in first)
    # Each rank draws its own anchors and regions, so only about the same is learnt.
    assert row["loss"] == pytest.approx(alone_row["loss"], rel=0.1)
    one, other = (
        torch.cat([(weights[name] - initial[name]).flatten() for name in initial]) for weights in (alone, first)
    )
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.8
    assert other.norm().item() == pytest.approx(one.norm().item(), rel=0.2)


def gradients_with_and_without_objects():
    """Return the gradients of two steps: in the first the image of rank 1 has no object, in the second none has one."""
    detector = disks_and_squares.new_detector().train()
    compute = data_parallel.shared(detector_training._Losses(detector), torch.device("cpu"))
    images, targets = disks_and_squares.batch(1)
    nothing = [disks_and_squares.target([])]
    steps = []
    for of_rank in ([targets, nothing], [nothing, nothing]):
        torch.stack([*compute(images, of_rank[ranks.rank()]).values()]).sum().backward()
        steps.append({name: weight.grad.clone() for name, weight in detector.named_parameters()})
        detector.zero_grad()
    return steps


def test_ranks_with_images_without_an_object_share_every_gradient_and_pytorch_warns_of_nothing(tmp_path, capfd):
    first, second = two_ranks.results(tmp_path, gradients_with_and_without_objects)
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    of_decoder = [{name: step[name] for name in step if name.startswith("mask_head.decoder")} for step in first]
    assert of_decoder[0] and all(gradient.abs().sum() > 0 for gradient in of_decoder[0].values())
    assert all((gradient == 0).all() for gradient in of_decoder[1].values())
    assert "find_unused_parameters" not in capfd.readouterr().err
