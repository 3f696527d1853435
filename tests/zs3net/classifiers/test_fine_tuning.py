import dataclasses

import numpy as np
import pytest
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.base import training
from zeroshot.cache import pools
from zeroshot.zs3net.classifiers import fine_tuning


class TrueFeatures:
    """A source of features from the true distribution of each class."""

    device = torch.device("cpu")

    def fit(self, real, context=None):
        yield from ()

    def sample(self, labels, random):
        table = torch.from_numpy(pixel_world.means()).float()
        noise = torch.randn(*labels.shape, pixel_world.DIM, generator=random)
        return (table[labels] + pixel_world.NOISE * noise).clamp(min=0)


class ZeroFeatures(TrueFeatures):
    """A source whose features are all zero."""

    def sample(self, labels, random):
        return torch.zeros_like(super().sample(labels, random))


def real(n=60, labels=pixel_world.SEEN):
    return pools.select(pixel_world.sampled(dict.fromkeys(labels, n)), labels)


def zero_start():
    """Return an initial classifier whose weights are all zero."""
    start = pixel_world.start()
    return dataclasses.replace(start, weight=torch.zeros_like(start.weight), bias=torch.zeros_like(start.bias))


def fit(start=None, pool=None, source=None, unseen=pixel_world.UNSEEN, **changes):
    """Return the rows of the curve and the classifiers, epoch by epoch."""
    options = quick_sections.classifier_options(**changes)
    epochs = fine_tuning.fit(start or pixel_world.start(), pool or real(), source or TrueFeatures(), unseen, options)
    return zip(*epochs, strict=True)


def test_learns_all_classes_of_a_separable_problem_from_zero_weights():
    rows, models = fit(zero_start(), epochs=3, lr=0.05)
    labels = np.repeat(range(len(pixel_world.CLASSES)), 100)
    features = torch.from_numpy(pixel_world.features(labels, seed=9)).float()
    predicted = models[-1].labels[models[-1].logits(features).argmax(1)]
    assert (predicted.numpy() == labels).mean() > 0.9
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert rows[2]["loss"] < rows[1]["loss"] < rows[0]["loss"]


def test_rows_are_those_of_the_start_followed_by_unseen_classes():
    _, models = fit(unseen=[9, 5])
    assert models[-1].labels.tolist() == [*pixel_world.SEEN, 9, 5]
    assert models[-1].unseen.tolist() == [False] * len(pixel_world.SEEN) + [True, True]
    assert models[-1].seen_bias == 0


@pytest.mark.parametrize("trained_rows", ["unseen", "all"])
@pytest.mark.parametrize("distillation", [0.0, 0.5])
def test_a_seen_class_that_the_network_did_not_learn_gets_a_row_from_its_real_features(trained_rows, distillation):
    """The class is one of data.train_unseen: the start has no row for it, and its row always learns."""
    whole = pixel_world.start()
    untaught = pixel_world.SEEN[2]
    start = whole.of([label for label in pixel_world.SEEN if label != untaught])
    _, models = fit(start, epochs=4, lr=0.05, trained_rows=trained_rows, distillation=distillation)
    model = models[-1]
    assert model.labels.tolist() == [*start.labels.tolist(), untaught, *pixel_world.UNSEEN]
    assert model.unseen.tolist() == [False] * len(pixel_world.SEEN) + [True] * len(pixel_world.UNSEEN)
    n_taught = len(start.labels)
    assert torch.equal(model.weight[:n_taught], start.weight) == (trained_rows == "unseen")
    features = torch.from_numpy(pixel_world.features(np.full(200, untaught), seed=9)).float()
    predicted = model.labels[model.logits(features).argmax(1)]
    assert (predicted == untaught).float().mean() > 0.8


def test_training_is_correct_for_any_order_of_the_rows_of_the_start():
    """With reversed rows the cross-entropy is the same, so the accuracy must be high and the labels reversed."""
    start = zero_start()
    order = torch.arange(len(start.labels)).flip(0)
    reversed_start = dataclasses.replace(start, labels=start.labels[order])
    _, models = fit(reversed_start, epochs=3, lr=0.05)
    assert models[-1].labels.tolist() == [*reversed(pixel_world.SEEN), *pixel_world.UNSEEN]
    labels = np.repeat(range(len(pixel_world.CLASSES)), 50)
    features = torch.from_numpy(pixel_world.features(labels, seed=9)).float()
    predicted = models[-1].labels[models[-1].logits(features).argmax(1)]
    assert (predicted.numpy() == labels).mean() > 0.9


def test_trained_rows_unseen_does_not_change_seen_rows():
    start = pixel_world.start()
    n = len(start.labels)
    _, models = fit(start, trained_rows="unseen", weight_decay=0.1)
    assert torch.equal(models[-1].weight[:n], start.weight) and torch.equal(models[-1].bias[:n], start.bias)
    assert (models[-1].weight[n:] != 0).any(dim=1).all()
    _, models = fit(start, trained_rows="all")
    assert not torch.isclose(models[-1].weight[:n], start.weight).any(dim=1).all()


def test_training_does_not_change_the_start():
    start, fresh = pixel_world.start(), pixel_world.start()
    fit(start)
    assert torch.equal(start.weight, fresh.weight) and torch.equal(start.bias, fresh.bias)


def test_classifiers_of_epochs_do_not_share_tensors():
    _, models = fit()
    assert not torch.equal(models[0].weight, models[1].weight)
    assert not any(model.weight.requires_grad or model.bias.requires_grad for model in models)


@pytest.mark.parametrize("unit", ["seen_class", "seen_object"])
@pytest.mark.parametrize(("balance", "ratio"), [(0.0, 1.0), (0.5, 2.0), (1.0, 0.5)])
def test_class_frequencies_follow_class_balance_and_synthetic_ratio(balance, ratio, unit):
    """From constant features a classifier can learn only how often each class is sampled."""
    pool = real(n=5)
    pool.features[:] = 0
    _, models = fit(
        zero_start(), pool, ZeroFeatures(), class_balance=balance, synthetic_ratio=ratio, synthetic_unit=unit,
        batch_size=1000, epochs=1, steps_per_epoch=150, lr=0.05, weight_decay=0.0,
    )  # fmt: skip
    # A row of class k represents k + 1 cells, see pixel_world.sampled.
    odds = (5.0 * np.array([label + 1 for label in pixel_world.SEEN])) ** balance
    seen = odds / odds.sum()
    # Label 0, the first, is the background.
    average = seen.mean() if unit == "seen_class" else seen[1:].mean()
    shares = np.concatenate([seen, np.full(len(pixel_world.UNSEEN), ratio * average)])
    actual = models[-1].bias.softmax(0).numpy()
    np.testing.assert_allclose(actual, shares / shares.sum(), rtol=0.12)


@pytest.mark.parametrize("trained_rows", ["all", "unseen"])
def test_trains_without_unseen_classes(trained_rows):
    labels = tuple(range(len(pixel_world.CLASSES)))
    start = pixel_world.start(labels)
    rows, models = fit(start, real(labels=labels), unseen=[], trained_rows=trained_rows, among_unseen=1.0)
    assert models[-1].labels.tolist() == list(labels) and not models[-1].unseen.any()
    assert np.isfinite(rows[-1]["loss"])


def test_a_seen_class_without_features_keeps_its_row():
    present = tuple(label for label in pixel_world.SEEN if label != 3)
    start = pixel_world.start()
    _, models = fit(start, real(labels=present), weight_decay=0.0)
    labels = np.repeat(present, 30)
    predicted = models[-1].labels[
        models[-1].logits(torch.from_numpy(pixel_world.features(labels, 4)).float()).argmax(1)
    ]
    assert models[-1].labels.tolist() == [*pixel_world.SEEN, *pixel_world.UNSEEN]
    assert (predicted.numpy() == labels).mean() > 0.9


def test_training_is_reproducible_whatever_the_global_random_state():
    rows, models = fit(epochs=1)
    torch.rand(5)
    again, others = fit(epochs=1)
    assert rows == again
    assert torch.equal(models[-1].weight, others[-1].weight) and torch.equal(models[-1].bias, others[-1].bias)
    _, others = fit(seed=1, epochs=1)
    assert not torch.equal(models[-1].weight, others[-1].weight)


def test_distillation_preserves_the_probabilities_of_the_start():
    """Compare the divergence of the probabilities of seen classes on real features."""
    start = dataclasses.replace(pixel_world.start(), weight=0.3 * pixel_world.start().weight)
    features = torch.from_numpy(pixel_world.features(np.repeat(pixel_world.SEEN, 40), seed=3)).float()
    before = start.logits(features).softmax(1)

    def distance(weight):
        _, models = fit(start, distillation=weight, lr=0.05)
        after = models[-1].logits(features)[:, : len(start.labels)].softmax(1)
        return (before * (before / after).log()).sum(1).mean().item()

    free, loose, tight = (distance(weight) for weight in (0.0, 1.0, 30.0))
    assert tight < 0.5 * loose < 0.5 * free


def test_among_unseen_tells_rare_unseen_classes_apart_and_leaves_frozen_rows():
    """The second loss averages over unseen features alone, so it does not get weaker when they are rare in a batch."""
    features = torch.from_numpy(pixel_world.features(np.repeat(pixel_world.UNSEEN, 40), seed=3)).float()
    truth = torch.from_numpy(np.repeat(np.arange(len(pixel_world.UNSEEN)), 40))
    start = zero_start()
    n = len(start.labels)

    def run(weight):
        _, models = fit(start, among_unseen=weight, trained_rows="unseen", synthetic_ratio=0.1, lr=0.001, epochs=1)
        model = models[-1]
        return model, torch.nn.functional.cross_entropy(model.logits(features)[:, n:], truth).item()

    (without, worse), (with_loss, better) = run(0.0), run(20.0)
    assert better < 0.95 * worse
    assert torch.equal(with_loss.weight[:n], start.weight) and torch.equal(without.weight[:n], start.weight)


def test_the_second_loss_is_the_cross_entropy_over_unseen_rows_of_unseen_features():
    """The reported loss of one step is the sum of both, computed here class by class."""
    options = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 60}
    batches, source = [], TrueFeatures()

    class Recorded(TrueFeatures):
        def sample(self, labels, random):
            batches.append((super().sample(labels, random), labels))
            return batches[-1][0]

    start = zero_start()
    first, _ = fit(start, source=source, init="uniform", **options)
    both, _ = fit(start, source=Recorded(), init="uniform", among_unseen=0.5, **options)
    # The initial rows, U[0, 1) from the seed, come from a training without steps that change them.
    _, models = fit(start, source=source, init="uniform", **options, lr=1e-12, weight_decay=0.0)
    (features, labels) = batches[0]
    rows = models[0].unseen
    logits = (features @ models[0].weight[rows].T + models[0].bias[rows]).double().numpy()
    own = logits[np.arange(len(labels)), [pixel_world.UNSEEN.index(label) for label in labels.tolist()]]
    expected = np.mean(np.log(np.exp(logits).sum(1)) - own)
    assert both[0]["loss"] - first[0]["loss"] == pytest.approx(0.5 * expected, rel=1e-4)


def test_without_a_number_an_epoch_has_one_step_for_every_8_images():
    options = quick_sections.classifier_options(steps_per_epoch=None)
    assert [fine_tuning.with_steps(options, n).steps_per_epoch for n in (1, 80, 2950)] == [1, 10, 369]
    given = quick_sections.classifier_options(steps_per_epoch=7)
    assert fine_tuning.with_steps(given, 80) == given
    with pytest.raises(TypeError, match="number of steps"):
        fit(steps_per_epoch=None)


def test_distillation_adds_the_divergence_of_the_backbone_from_the_classifier():
    """The divergence is sum p log(p / q) with p of the backbone. From zero features, both are given by the biases alone."""
    pool = real(n=5)
    pool.features[:] = 0
    bias = torch.linspace(-2, 3, len(pixel_world.SEEN))
    start = dataclasses.replace(zero_start(), bias=bias)
    options = {"init": "uniform", "lr": 1e-9, "epochs": 1, "steps_per_epoch": 1}
    (plain,), _ = fit(start, pool, ZeroFeatures(), **options)
    (distilled,), (model,) = fit(start, pool, ZeroFeatures(), distillation=2.0, **options)
    p, q = (np.exp(row) / np.exp(row).sum() for row in (bias.numpy(), model.bias[: len(bias)].numpy()))
    expected, reverse = (p * np.log(p / q)).sum(), (q * np.log(q / p)).sum()
    assert abs(expected - reverse) > 0.1 * expected
    assert (distilled["loss"] - plain["loss"]) / 2 == pytest.approx(expected, rel=1e-4)


def test_a_loss_of_nan_raises_an_error_with_epoch_and_step():
    pool = real()
    pool.features[:] = np.inf
    with pytest.raises(
        training.DivergedError, match=r"classifier: the loss is nan in epoch 0, step 0; lower classifier.lr$"
    ):
        fit(pool=pool)


@pytest.mark.parametrize("trained_rows", ["all", "unseen"])
def test_init_uniform_fills_trained_rows_from_zero_to_one(trained_rows):
    start = pixel_world.start()
    n = len(start.labels)
    _, models = fit(start, init="uniform", trained_rows=trained_rows, lr=1e-9, epochs=1, steps_per_epoch=1)
    trained = models[-1].weight[0 if trained_rows == "all" else n :]
    assert trained.min() >= -1e-6 and trained.max() < 1 and trained.mean().item() == pytest.approx(0.5, abs=0.15)
    assert trained.std().item() == pytest.approx(12**-0.5, abs=0.1)
    assert torch.equal(models[-1].weight[:n], start.weight) is (trained_rows == "unseen")
    _, others = fit(start, init="uniform", trained_rows=trained_rows, lr=1e-9, epochs=1, steps_per_epoch=1, seed=1)
    assert not torch.isclose(others[-1].weight[n:], models[-1].weight[n:]).all()


def test_unseen_weight_multiplies_the_loss_of_unseen_features():
    """From constant features a classifier learns class frequencies; a weight of five acts as five times the frequency."""
    pool = real(n=5)
    pool.features[:] = 0
    options = {"batch_size": 1000, "epochs": 1, "steps_per_epoch": 150, "lr": 0.05, "weight_decay": 0.0}
    _, models = fit(zero_start(), pool, ZeroFeatures(), class_balance=0.0, unseen_weight=5.0, **options)
    odds = np.concatenate([np.ones(len(pixel_world.SEEN)), np.full(len(pixel_world.UNSEEN), 5.0)])
    np.testing.assert_allclose(models[-1].bias.softmax(0).numpy(), odds / odds.sum(), rtol=0.1)


def test_sgd_has_momentum_and_polynomial_decay():
    """With a single class the gradient is 0 and only weight decay changes the rows, by a known recurrence."""
    start = pixel_world.start((0,))
    lr, decay, steps = 0.1, 0.5, 4
    changes = {"optimizer": "sgd", "lr": lr, "weight_decay": decay, "epochs": 2, "steps_per_epoch": 2}
    _, models = fit(start, real(labels=(0,)), unseen=[], **changes)
    expected, momentum = start.weight, torch.zeros_like(start.weight)
    for step in range(steps):
        momentum = 0.9 * momentum + decay * expected
        expected = expected - lr * (1 - step / steps) ** 0.9 * momentum
    torch.testing.assert_close(models[-1].weight, expected)


def test_the_released_recipe_trains():
    rows, models = fit(init="uniform", optimizer="sgd", lr=0.02, unseen_weight=3.0, epochs=6, weight_decay=5e-4)
    labels = np.repeat(range(len(pixel_world.CLASSES)), 50)
    features = torch.from_numpy(pixel_world.features(labels, seed=9)).float()
    predicted = models[-1].labels[models[-1].logits(features).argmax(1)]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert (predicted.numpy() == labels).mean() > 0.8
