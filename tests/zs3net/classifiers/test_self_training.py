import collections
import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.cache import pools
from zeroshot.zs3net.classifiers import fine_tuning, self_training
from zeroshot.zs3net.pseudo_labels import selection

CPU = torch.device("cpu")


class Recorder:
    """A source of true features plus `shift` that counts the labels it samples."""

    device = CPU

    def __init__(self, shift=0.0):
        self.counts = collections.Counter()
        self.shift = shift

    def fit(self, real, context=None):
        yield from ()

    def sample(self, labels, random):
        self.counts.update(labels.tolist())
        table = torch.from_numpy(pixel_world.means()).float()
        noise = pixel_world.NOISE * torch.randn(len(labels), pixel_world.DIM, generator=random)
        return (table[labels] + noise + self.shift).clamp(min=0)


def pool(labels, n=60, seed=0):
    return pools.select(pixel_world.sampled(dict.fromkeys(labels, n), seed), labels)


def start():
    """Return a classifier of all classes that is not trained on the unseen ones."""
    options = quick_sections.classifier_options(epochs=1, steps_per_epoch=1, lr=1e-6)
    *_, (_, model) = fine_tuning.fit(
        pixel_world.start(), pool(pixel_world.SEEN), Recorder(), pixel_world.UNSEEN, options
    )
    return dataclasses.replace(model, seen_bias=1.5)


def fit(pseudo, generator=None, model=None, **changes):
    options = quick_sections.self_training_options(**changes)
    return list(
        self_training.fit(
            model or start(), pool(pixel_world.SEEN), pseudo, generator or Recorder(), pixel_world.UNSEEN, options
        )
    )


def accuracy(model, labels):
    truth = np.repeat(labels, 100)
    features = torch.from_numpy(pixel_world.features(truth, seed=9)).float()
    plain = dataclasses.replace(model, seen_bias=0.0)
    return (plain.labels[plain.logits(features).argmax(1)].numpy() == truth).mean()


def test_learns_unseen_classes_from_pseudo_labels_despite_a_poor_generator():
    """The generated features are far from the true ones, so only pseudo-labelled features help."""
    model = start()
    assert accuracy(model, pixel_world.UNSEEN) < 0.2
    epochs = fit(pool(pixel_world.UNSEEN, seed=1), Recorder(shift=5.0), epochs=3, lr=0.05)
    assert accuracy(epochs[-1][1], pixel_world.UNSEEN) > 0.8
    assert accuracy(epochs[-1][1], pixel_world.SEEN) > 0.8
    assert [row["epoch"] for row, _ in epochs] == [0, 1, 2]
    assert epochs[-1][1].labels.tolist() == model.labels.tolist() and epochs[-1][1].seen_bias == 0


@pytest.mark.parametrize(("labelled", "expected"), [((), 1.5), ((pixel_world.SEEN[1],), 1.5), ((9,), 0.0)])
def test_the_seen_bias_is_removed_if_pseudo_labels_have_unseen_classes(labelled, expected):
    pseudo = pool(labelled, seed=1) if labelled else pools.empty(pixel_world.DIM)
    (_, model), *_ = fit(pseudo, epochs=1)
    assert model.seen_bias == expected


@pytest.mark.parametrize(
    ("labelled", "expected"),
    # Each of 8 seen classes has weight 1; `pseudo_ratio` is 2, `synthetic_ratio` 1.
    [((5, 9), {5: 1, 9: 1}), ((9,), {5: 3, 9: 1}), ((), {5: 3, 9: 3})],
)
def test_synthetic_features_replace_missing_pseudo_labels(labelled, expected):
    generator = Recorder()
    pseudo = pool(labelled) if labelled else pools.empty(pixel_world.DIM)
    n, steps = 1400, 20
    fit(pseudo, generator, batch_size=n, epochs=1, steps_per_epoch=steps, pseudo_ratio=2.0, synthetic_ratio=1.0)
    for label, share in expected.items():
        expected_count = n * steps * share / 14
        assert abs(generator.counts[label] - expected_count) < 4 * expected_count**0.5 + steps


def test_synthetic_ratio_zero_samples_only_classes_without_pseudo_labels():
    generator = Recorder()
    fit(pool((5,)), generator, synthetic_ratio=0.0)
    assert set(generator.counts) == {9}
    fit(pool((5, 9)), generator := Recorder(), synthetic_ratio=0.0)
    assert not generator.counts


def test_trained_rows_unseen_does_not_change_seen_rows():
    model = start()
    trained = fit(pool((5, 9)), model=model, trained_rows="unseen")[-1][1]
    assert torch.equal(trained.weight[~model.unseen], model.weight[~model.unseen])
    assert not torch.equal(trained.weight[model.unseen], model.weight[model.unseen])


def test_training_is_reproducible_and_depends_on_the_seed():
    first, again, other = (fit(pool((5, 9)), seed=seed)[-1][1] for seed in (0, 0, 1))
    assert torch.equal(first.weight, again.weight) and not torch.equal(first.weight, other.weight)


def test_trains_without_unseen_classes():
    labels = range(len(pixel_world.CLASSES))
    options = quick_sections.self_training_options(epochs=1)
    model = pixel_world.start(tuple(labels))
    real = pool(labels)
    (row, trained), *_ = self_training.fit(model, real, pools.empty(pixel_world.DIM), Recorder(), (), options)
    assert np.isfinite(row["loss"]) and accuracy(trained, labels) > 0.8


def test_self_training_improves_hiou_with_a_biased_generator(monkeypatch):
    """Train a classifier with a biased generator, pseudo-label unlabelled pixels with it, and train it on them."""
    monkeypatch.setattr(pixel_world, "NOISE", 0.5)
    generator = Recorder(shift=2.0)
    real = pool(pixel_world.SEEN)
    *_, (_, zs3net) = fine_tuning.fit(
        pixel_world.start(), real, generator, pixel_world.UNSEEN, quick_sections.classifier_options(epochs=3)
    )
    table = pixel_world.sampled(dict.fromkeys(range(len(pixel_world.CLASSES)), 150), seed=4)
    n = len(table["label"])
    table |= {
        "label": np.full(n, 65535, np.uint16),
        "image": np.arange(n, dtype=np.int32) % 7,
        "view": np.zeros(n, np.uint8),
        "position": np.zeros((n, 2), np.uint16),
    }
    model = zs3net
    for _ in range(2):
        chosen = selection.select(model, table, quick_sections.pseudo_labels_options(p=60.0))
        pseudo = pools.select(chosen, range(len(pixel_world.CLASSES)))
        options = quick_sections.self_training_options(synthetic_ratio=0.0, epochs=3)
        *_, (_, model) = self_training.fit(model, real, pseudo, generator, pixel_world.UNSEEN, options)
    assert set(pseudo.labels.tolist()) == set(pixel_world.UNSEEN)
    before, after = (
        scipy.stats.hmean([accuracy(one, labels) for labels in (pixel_world.SEEN, pixel_world.UNSEEN)])
        for one in (zs3net, model)
    )
    assert after > before + 0.1


def test_the_side_window_is_that_of_the_parameters_and_stays_in_self_training():
    options = quick_sections.classifier_options(epochs=1, steps_per_epoch=1, side_window=5)
    *_, (_, zs3net) = fine_tuning.fit(
        pixel_world.start(), pool(pixel_world.SEEN), Recorder(), pixel_world.UNSEEN, options
    )
    *_, (_, zs5net) = fit(pool(pixel_world.UNSEEN), model=zs3net, epochs=1, steps_per_epoch=1)
    assert zs3net.side_window == zs5net.side_window == 5
