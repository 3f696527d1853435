import dataclasses

import numpy as np
import pytest
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.base import training
from zeroshot.cache import pools
from zeroshot.zs3net.classifiers import fine_tuning


class Truth:
    """A source of the true features of each class."""

    device = torch.device("cpu")

    def fit(self, real, context=None):
        yield from ()

    def sample(self, labels, random):
        table = torch.from_numpy(pixel_world.means()).float()
        noise = torch.randn(*labels.shape, pixel_world.DIM, generator=random)
        return (table[labels] + pixel_world.NOISE * noise).clamp(min=0)


class Nothing(Truth):
    """A source of features without information."""

    def sample(self, labels, random):
        return torch.zeros_like(super().sample(labels, random))


def real(n=60, labels=pixel_world.SEEN):
    return pools.select(pixel_world.sampled(dict.fromkeys(labels, n)), labels)


def untaught():
    """A start that knows nothing."""
    start = pixel_world.start()
    return dataclasses.replace(start, weight=torch.zeros_like(start.weight), bias=torch.zeros_like(start.bias))


def fit(start=None, pool=None, source=None, unseen=pixel_world.UNSEEN, **changes):
    """Return the rows of the curve and the classifiers, epoch by epoch."""
    options = quick_sections.classifier_options(**changes)
    epochs = fine_tuning.fit(start or pixel_world.start(), pool or real(), source or Truth(), unseen, options)
    return zip(*epochs, strict=True)


def test_learns_all_classes_of_a_separable_problem_from_nothing():
    rows, models = fit(untaught(), epochs=3, lr=0.05)
    labels = np.repeat(range(len(pixel_world.CLASSES)), 100)
    features = torch.from_numpy(pixel_world.features(labels, seed=9)).float()
    predicted = models[-1].labels[models[-1].logits(features).argmax(1)]
    assert (predicted.numpy() == labels).mean() > 0.9
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert rows[2]["loss"] < rows[1]["loss"] < rows[0]["loss"]


def test_rows_are_the_starts_in_its_order_and_then_the_unseen():
    _, models = fit(unseen=[9, 5])
    assert models[-1].labels.tolist() == [*pixel_world.SEEN, 9, 5]
    assert models[-1].unseen.tolist() == [False] * len(pixel_world.SEEN) + [True, True]
    assert models[-1].seen_bias == 0


def test_each_row_belongs_to_its_label_whatever_the_order_of_the_starts_rows():
    """Rows backwards: the same cross-entropy, so a classifier as good, its labels backwards."""
    start = untaught()
    order = torch.arange(len(start.labels)).flip(0)
    backwards = dataclasses.replace(start, labels=start.labels[order])
    _, models = fit(backwards, epochs=3, lr=0.05)
    assert models[-1].labels.tolist() == [*reversed(pixel_world.SEEN), *pixel_world.UNSEEN]
    labels = np.repeat(range(len(pixel_world.CLASSES)), 50)
    features = torch.from_numpy(pixel_world.features(labels, seed=9)).float()
    predicted = models[-1].labels[models[-1].logits(features).argmax(1)]
    assert (predicted.numpy() == labels).mean() > 0.9


def test_trained_rows_unseen_leaves_the_seen_ones_exactly_as_they_were():
    start = pixel_world.start()
    n = len(start.labels)
    _, models = fit(start, trained_rows="unseen", weight_decay=0.1)
    assert torch.equal(models[-1].weight[:n], start.weight) and torch.equal(models[-1].bias[:n], start.bias)
    assert (models[-1].weight[n:] != 0).any(dim=1).all()
    _, models = fit(start, trained_rows="all")
    assert not torch.isclose(models[-1].weight[:n], start.weight).any(dim=1).all()


def test_the_start_is_never_changed():
    start, fresh = pixel_world.start(), pixel_world.start()
    fit(start)
    assert torch.equal(start.weight, fresh.weight) and torch.equal(start.bias, fresh.bias)


def test_every_epochs_classifier_is_its_own():
    _, models = fit()
    assert not torch.equal(models[0].weight, models[1].weight)
    assert not any(model.weight.requires_grad or model.bias.requires_grad for model in models)


@pytest.mark.parametrize(("balance", "ratio"), [(0.0, 1.0), (0.5, 2.0), (1.0, 0.5)])
def test_classes_are_drawn_with_the_odds_that_were_asked_for(balance, ratio):
    """From features without information a classifier learns how often it met each class, and nothing else."""
    pool = real(n=5)
    pool.features[:] = 0
    _, models = fit(
        untaught(), pool, Nothing(), class_balance=balance, synthetic_ratio=ratio,
        batch_size=1000, epochs=1, steps_per_epoch=150, lr=0.05, weight_decay=0.0,
    )  # fmt: skip
    # A row of class k stands for k + 1 cells, see pixel_world.sampled.
    odds = (5.0 * np.array([label + 1 for label in pixel_world.SEEN])) ** balance
    average = 1 / len(pixel_world.SEEN)
    shares = np.concatenate([odds / odds.sum(), np.full(len(pixel_world.UNSEEN), ratio * average)])
    learnt = models[-1].bias.softmax(0).numpy()
    np.testing.assert_allclose(learnt, shares / shares.sum(), rtol=0.12)


@pytest.mark.parametrize("trained_rows", ["all", "unseen"])
def test_works_without_an_unseen_class(trained_rows):
    labels = tuple(range(len(pixel_world.CLASSES)))
    start = pixel_world.start(labels)
    rows, models = fit(start, real(labels=labels), unseen=[], trained_rows=trained_rows)
    assert models[-1].labels.tolist() == list(labels) and not models[-1].unseen.any()
    assert np.isfinite(rows[-1]["loss"])


def test_a_seen_class_without_a_feature_keeps_its_row_and_its_place():
    present = tuple(label for label in pixel_world.SEEN if label != 3)
    start = pixel_world.start()
    _, models = fit(start, real(labels=present), weight_decay=0.0)
    labels = np.repeat(present, 30)
    predicted = models[-1].labels[
        models[-1].logits(torch.from_numpy(pixel_world.features(labels, 4)).float()).argmax(1)
    ]
    assert models[-1].labels.tolist() == [*pixel_world.SEEN, *pixel_world.UNSEEN]
    assert (predicted.numpy() == labels).mean() > 0.9


def test_training_twice_gives_the_same_bytes_whatever_was_drawn_before():
    rows, models = fit(epochs=1)
    torch.rand(5)
    again, others = fit(epochs=1)
    assert rows == again
    assert torch.equal(models[-1].weight, others[-1].weight) and torch.equal(models[-1].bias, others[-1].bias)
    _, others = fit(seed=1, epochs=1)
    assert not torch.equal(models[-1].weight, others[-1].weight)


def test_distillation_keeps_the_answers_of_the_start():
    """Measured as the divergence between the answers over seen classes on real features."""
    start = dataclasses.replace(pixel_world.start(), weight=0.3 * pixel_world.start().weight)
    features = torch.from_numpy(pixel_world.features(np.repeat(pixel_world.SEEN, 40), seed=3)).float()
    before = start.logits(features).softmax(1)

    def distance(weight):
        _, models = fit(start, distillation=weight, lr=0.05)
        after = models[-1].logits(features)[:, : len(start.labels)].softmax(1)
        return (before * (before / after).log()).sum(1).mean().item()

    free, loose, tight = (distance(weight) for weight in (0.0, 1.0, 30.0))
    assert tight < 0.5 * loose < 0.5 * free


def test_a_loss_that_is_no_number_stops_it_with_a_text():
    pool = real()
    pool.features[:] = np.inf
    with pytest.raises(training.DivergedError, match=r"classifier: the loss is nan in epoch 0, step 0; lower"):
        fit(pool=pool)


@pytest.mark.parametrize("trained_rows", ["all", "unseen"])
def test_init_uniform_starts_what_learns_anywhere_between_zero_and_one(trained_rows):
    start = pixel_world.start()
    n = len(start.labels)
    _, models = fit(start, init="uniform", trained_rows=trained_rows, lr=1e-9, epochs=1, steps_per_epoch=1)
    learning = models[-1].weight[0 if trained_rows == "all" else n :]
    assert learning.min() >= -1e-6 and learning.max() < 1 and learning.mean().item() == pytest.approx(0.5, abs=0.15)
    assert learning.std().item() == pytest.approx(12**-0.5, abs=0.1)
    assert torch.equal(models[-1].weight[:n], start.weight) is (trained_rows == "unseen")
    _, others = fit(start, init="uniform", trained_rows=trained_rows, lr=1e-9, epochs=1, steps_per_epoch=1, seed=1)
    assert not torch.isclose(others[-1].weight[n:], models[-1].weight[n:]).all()


def test_unseen_weight_counts_each_unseen_feature_that_many_times():
    """From features without information a classifier learns shares; five times the weight is five times as often."""
    pool = real(n=5)
    pool.features[:] = 0
    options = {"batch_size": 1000, "epochs": 1, "steps_per_epoch": 150, "lr": 0.05, "weight_decay": 0.0}
    _, models = fit(untaught(), pool, Nothing(), class_balance=0.0, unseen_weight=5.0, **options)
    odds = np.concatenate([np.ones(len(pixel_world.SEEN)), np.full(len(pixel_world.UNSEEN), 5.0)])
    np.testing.assert_allclose(models[-1].bias.softmax(0).numpy(), odds / odds.sum(), rtol=0.1)


def test_sgd_moves_by_momentum_and_a_rate_that_decays():
    """On one class alone the gradient is 0, so only weight decay moves the rows: a recurrence that can be written down."""
    start = pixel_world.start((0,))
    lr, decay, steps = 0.1, 0.5, 4
    changes = {"optimizer": "sgd", "lr": lr, "weight_decay": decay, "epochs": 2, "steps_per_epoch": 2}
    _, models = fit(start, real(labels=(0,)), unseen=[], **changes)
    expected, momentum = start.weight, torch.zeros_like(start.weight)
    for step in range(steps):
        momentum = 0.9 * momentum + decay * expected
        expected = expected - lr * (1 - step / steps) ** 0.9 * momentum
    torch.testing.assert_close(models[-1].weight, expected)


def test_the_released_recipe_learns():
    rows, models = fit(init="uniform", optimizer="sgd", lr=0.02, unseen_weight=3.0, epochs=6, weight_decay=5e-4)
    labels = np.repeat(range(len(pixel_world.CLASSES)), 50)
    features = torch.from_numpy(pixel_world.features(labels, seed=9)).float()
    predicted = models[-1].labels[models[-1].logits(features).argmax(1)]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert (predicted.numpy() == labels).mean() > 0.8
