"""The baselines on synthetic features that are linear in the class vectors."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.cache import pools
from zeroshot.pixel_classifiers.cross_validation import folds
from zeroshot.zs3net.classifiers import baselines

METHODS = ("devise", "ale", "spnet")
methods = pytest.mark.parametrize("method", METHODS)
UNSEEN = list(pixel_world.UNSEEN)


def sampled():
    return pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 60))


def embeddings():
    return torch.from_numpy(pixel_world.vectors())


def train(method, vectors=None, **changes):
    """Return the rows of the curve and the last classifier."""
    real = pools.select(sampled(), pixel_world.SEEN)
    vectors = embeddings() if vectors is None else vectors
    options = quick_sections.baseline_options(**changes)
    rows, models = zip(
        *baselines.fit(method, real, vectors, pixel_world.SEEN, pixel_world.UNSEEN, options), strict=True
    )
    return rows, models[-1]


def accuracy(model, labels, among=None):
    """Return the accuracy on new features of `labels` when only the classes `among` can be predicted."""
    truth = np.repeat(labels, 100)
    x = torch.from_numpy(pixel_world.features(truth, seed=7)).float()
    among = model.labels.tolist() if among is None else among
    keep = torch.isin(model.labels, torch.tensor(among))
    predicted = model.labels[keep][model.logits(x)[:, keep].argmax(1)]
    return (predicted.numpy() == truth).mean()


@methods
def test_learns_seen_classes_and_generalises_to_unseen_ones(method):
    rows, model = train(method, epochs=5)
    assert [row["epoch"] for row in rows] == list(range(5)) and list(rows[0]) == ["epoch", "loss"]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert model.labels.tolist() == [*pixel_world.SEEN, *UNSEEN]
    assert model.labels[model.unseen].tolist() == UNSEEN and model.seen_bias == 0
    assert accuracy(model, pixel_world.SEEN, pixel_world.SEEN) > 0.9
    assert accuracy(model, UNSEEN, UNSEEN) > 0.95


@methods
def test_vectors_of_unseen_classes_change_only_their_own_rows(method):
    changed_vectors = embeddings()
    changed_vectors[UNSEEN] = 5 - changed_vectors[UNSEEN]
    before, after = train(method)[1], train(method, vectors=changed_vectors)[1]
    seen = ~before.unseen
    assert torch.equal(before.weight[seen], after.weight[seen]) and torch.equal(before.bias[seen], after.bias[seen])
    assert not torch.equal(before.weight[~seen], after.weight[~seen])


@methods
def test_learns_a_background_whose_vector_is_zero(method):
    vectors = embeddings()
    vectors[0] = 0
    model = train(method, vectors=vectors, epochs=5, class_balance=0.0)[1]
    assert accuracy(model, [0], pixel_world.SEEN) > 0.9


@methods
def test_training_is_reproducible_and_depends_on_the_seed(method):
    first = train(method)[1]
    torch.rand(3)
    second, other = train(method)[1], train(method, seed=1)[1]
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)
    assert not torch.equal(first.weight, other.weight)


def test_spread_is_the_standard_deviation_over_seen_classes():
    real = pools.select(sampled(), pixel_world.SEEN)
    _, model = train("spnet")
    # With one feature per class, the expected value is a mean weighted by the sampling rates of the classes.
    first_features = real.features[real.starts[:-1]]
    single = pools.Pool(first_features, torch.arange(len(first_features) + 1), real.labels, real.sizes)
    scores = (first_features.float() @ model.weight.T + model.bias).numpy()[:, : len(pixel_world.SEEN)]
    share = real.sizes.numpy() ** 0.5 / (real.sizes.numpy() ** 0.5).sum()
    expected = np.sqrt((share * scores.var(axis=1)).sum())
    assert baselines.spread(model, single, quick_sections.baseline_options()) == pytest.approx(expected, rel=0.05)
    scaled = dataclasses.replace(model, weight=10 * model.weight, bias=10 * model.bias)
    options = quick_sections.baseline_options()
    assert baselines.spread(scaled, real, options) == pytest.approx(10 * baselines.spread(model, real, options))


def train_folds(method, table=None, **changes):
    """Return two folds and their trained models."""
    options = quick_sections.baseline_options(**changes)
    shared = {"method": method, "sampled": table or sampled(), "embeddings": embeddings(), "seen": pixel_world.SEEN}
    chosen = folds.draw(pixel_world.presence(sampled()), pixel_world.split(), 2, 2, seed=0)
    return chosen, [baselines.train_fold(fold, **shared, options=options) for fold in chosen]


def test_metrics_of_a_fold_are_invariant_to_the_scale_of_logits(monkeypatch):
    biases = quick_sections.baseline_options().biases
    before = [trained.metrics(biases) for trained in train_folds("spnet")[1]]
    fit = baselines.fit

    def fit_and_scale(*arguments):
        for row, model in fit(*arguments):
            yield row, dataclasses.replace(model, weight=8 * model.weight, bias=8 * model.bias)

    monkeypatch.setattr(baselines, "fit", fit_and_scale)
    assert [trained.metrics(biases) for trained in train_folds("spnet")[1]] == before
    assert all(len({row["hIoU"] for row in metrics}) == len(metrics) == 7 for metrics in before)


def test_features_of_held_out_classes_do_not_reach_the_training_of_their_fold():
    """Features of evaluation images must not reach it either."""
    chosen, before = train_folds("devise")
    for k, fold in enumerate(chosen):
        changed = sampled()
        is_hidden = np.isin(changed["label"], fold.held_out) | fold.evaluation[changed["image"]]
        changed["features"][is_hidden] = np.float16(7.5)
        _, after = train_folds("devise", changed)
        assert torch.equal(after[k].classifier.weight, before[k].classifier.weight)
        assert not torch.equal(after[1 - k].classifier.weight, before[1 - k].classifier.weight)


@methods
def test_the_side_window_is_that_of_the_parameters(method):
    assert train(method, epochs=1, steps_per_epoch=1, side_window=5)[1].side_window == 5
