import numpy as np
import pytest
import torch

from tests import pixel_world
from zs3 import training
from zs3.features import pools
from zs3.generators import gmmn

CPU = torch.device("cpu")


def two_classes(n=150, seed=0):
    """Gaussians with different means and spreads, as a pool of labels 0 and 1."""
    rng = np.random.default_rng(seed)
    features = np.concatenate([rng.normal(1, 0.5, (n, 4)), rng.normal([4, 0, 2, 1], 1.0, (n, 4))])
    labels = np.repeat([0, 1], n).astype(np.uint8)
    return pools.select({"features": features.astype(np.float16), "label": labels, "weight": np.ones(2 * n)}, [0, 1])


def build(embeddings=None, feature_dim=4, **changes):
    embeddings = torch.eye(2) if embeddings is None else embeddings
    return gmmn.build(pixel_world.gmmn_options(**changes), embeddings, feature_dim, CPU)


def trained(real=None, **changes):
    generator = build(**({"output": "linear", "epochs": 2} | changes))
    curve = list(gmmn.fit(generator, real or two_classes()))
    return generator, curve


def draw(generator, labels, seed=0):
    with torch.no_grad():
        return generator.sample(torch.as_tensor(labels), torch.Generator().manual_seed(seed))


def by_class(rows):
    """Return what `quality` gave as {label: {features: mmd}}."""
    table = {}
    for row in rows:
        assert set(row) == {"label", "features", "mmd"} and row["features"] not in table.get(row["label"], {})
        table.setdefault(row["label"], {})[row["features"]] = row["mmd"]
    assert all(list(own) == ["generated", "real"] for own in table.values())
    return table


class Recorder(torch.nn.Module):
    """In the network's place: gives back the embedding and the noise that it was called with."""

    def forward(self, embeddings, noise):
        return torch.cat([embeddings, noise], dim=-1)


class Perfect(torch.nn.Module):
    """In the network's place: the true distribution, N(embedding, 1)."""

    def forward(self, embeddings, noise):
        return embeddings + noise


def test_training_brings_each_class_near_its_held_out_features():
    held_out = two_classes(seed=1)
    before = by_class(gmmn.quality(build(output="linear"), held_out, two_classes()))
    generator, curve = trained(epochs=5)
    after = by_class(gmmn.quality(generator, held_out, two_classes()))
    assert list(before) == list(after) == [0, 1]
    for label, old in before.items():
        assert after[label]["generated"] < 0.25 * old["generated"]
    assert [row["epoch"] for row in curve] == list(range(5))
    assert curve[-1]["loss"] < 0.3 * curve[0]["loss"]
    assert all(0 <= row["live_kernels"] <= 1 for row in curve)
    means = draw(generator, [0, 1]).new_tensor([[1, 1, 1, 1], [4, 0, 2, 1]])
    fakes = torch.stack([draw(generator, [label] * 500).mean(0) for label in (0, 1)])
    torch.testing.assert_close(fakes, means, atol=0.4, rtol=0)


@pytest.mark.parametrize("estimator", ["biased", "biased_sqrt", "unbiased"])
@pytest.mark.parametrize(("kernel", "noise"), [("paper", "gaussian"), ("release", "uniform"), ("median", "uniform")])
def test_every_option_trains(estimator, kernel, noise):
    _, curve = trained(estimator=estimator, kernel=kernel, noise=noise, steps_per_epoch=15)
    assert curve[1]["loss"] < curve[0]["loss"]


def test_training_twice_gives_the_same_weights_whatever_was_drawn_before():
    one, curve = trained(dropout=0.3, steps_per_epoch=10)
    torch.rand(7)
    two, again = trained(dropout=0.3, steps_per_epoch=10)
    assert curve == again
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, two.network.state_dict()[name])
    other, _ = trained(dropout=0.3, steps_per_epoch=10, seed=1)
    assert not torch.equal(draw(other, [0]), draw(one, [0]))


def test_untrained_weights_depend_on_the_seed_alone():
    torch.rand(3)
    one = build()
    assert torch.equal(draw(build(), [0, 1]), draw(one, [0, 1]))
    assert not torch.equal(draw(build(seed=1), [0, 1]), draw(one, [0, 1]))


def test_classes_smaller_than_the_batch_are_learnt_from_what_they_have():
    """The same class twice, once with 3 rows: the filling of its batch, which is row 0 of the pool, must not count."""
    rng = np.random.default_rng(0)
    features = np.concatenate([np.full((40, 2), 60.0), rng.normal(2, 0.01, (3, 2))]).astype(np.float16)
    labels = np.repeat([0, 1], [40, 3]).astype(np.uint8)
    real = pools.select({"features": features, "label": labels, "weight": np.ones(43)}, [0, 1])
    generator, _ = trained(real, feature_dim=2, kernel="release", bandwidths=[1.0, 10.0, 100.0, 1000.0], epochs=5)
    assert draw(generator, [1] * 100).mean(0).tolist() == pytest.approx([2, 2], abs=1)


def test_a_class_of_one_row_does_not_stop_the_training():
    features = np.random.default_rng(0).normal(size=(21, 2)).astype(np.float16)
    labels = np.repeat([0, 1], [20, 1]).astype(np.uint8)
    real = pools.select({"features": features, "label": labels, "weight": np.ones(21)}, [0, 1])
    _, curve = trained(real, feature_dim=2)
    assert np.isfinite(curve[-1]["loss"])


def test_features_that_are_no_numbers_stop_it_with_a_text():
    real = two_classes()
    real.features[5:] = np.nan
    with pytest.raises(training.DivergedError) as caught:
        trained(real, kernel="paper")
    assert str(caught.value) == "gmmn: the loss is nan in epoch 0, step 0; lower the learning rate"


@pytest.mark.parametrize(("noise", "low", "mean", "std"), [("uniform", 0.0, 0.5, 12**-0.5), ("gaussian", None, 0, 1)])
def test_noise_is_what_it_is_called(noise, low, mean, std):
    options = pixel_world.gmmn_options(noise=noise, noise_dim=50)
    generator = gmmn.Generator(Recorder(), torch.eye(3), 53, options)
    labels = torch.tensor([[2, 0], [1, 1]]).repeat(50, 1)
    out = draw(generator, labels)
    assert torch.equal(out[..., :3], torch.eye(3)[labels])
    values = out[..., 3:]
    assert values.mean().item() == pytest.approx(mean, abs=0.04) and values.std().item() == pytest.approx(std, abs=0.04)
    if low is not None:
        assert values.min() >= 0 and values.max() < 1
    else:
        assert values.min() < -2.5 and values.max() > 2.5


def test_sampling_depends_on_its_generator_alone():
    generator, _ = trained(dropout=0.5)
    labels = [0, 1, 1]
    one = draw(generator, labels)
    torch.rand(5)
    assert torch.equal(draw(generator, labels), one)
    assert not torch.equal(draw(generator, labels, seed=1), one)


@pytest.mark.parametrize("asked", [False, True])
def test_dropout_stays_on_at_sampling_only_when_asked(asked):
    generator, _ = trained(dropout=0.5, sampling_dropout=asked, steps_per_epoch=2)
    for one in (generator, gmmn.load_dict(gmmn.save_dict(generator), CPU)):
        # The same noise twice: what differs is dropout.
        assert torch.equal(draw(one, [0, 1]), draw(one, [0, 1])) is not asked


def test_a_generator_knows_the_length_of_its_features():
    generator = build(feature_dim=7)
    assert generator.feature_dim == draw(generator, [0]).shape[1] == gmmn.save_dict(generator)["feature_dim"] == 7
    assert gmmn.load_dict(gmmn.save_dict(generator), CPU).feature_dim == 7


def test_saved_and_loaded_it_gives_the_same_features():
    generator, _ = trained(noise="uniform", dropout=0.2)
    saved = gmmn.save_dict(generator)
    loaded = gmmn.load_dict(saved, CPU)
    assert loaded.options == generator.options and torch.equal(loaded.embeddings, generator.embeddings)
    assert torch.equal(draw(loaded, [0, 1, 1, 0]), draw(generator, [0, 1, 1, 0]))
    assert saved["feature_dim"] == 4


def test_relu_features_are_never_negative():
    assert draw(build(output="relu"), [0, 1] * 50).min() == 0
    assert draw(build(output="linear"), [0, 1] * 50).min() < 0


def gaussians(means, n, seed):
    labels = np.repeat(range(len(means)), n)
    features = means.numpy()[labels] + np.random.default_rng(seed).normal(size=(len(labels), means.shape[1]))
    return pools.select(
        {"features": features.astype(np.float16), "label": labels, "weight": np.ones(len(labels))}, range(len(means))
    )


def test_quality_is_near_zero_for_a_perfect_generator_and_not_for_a_wrong_one():
    means = torch.tensor([[1.0, 2, 3, 4], [4.0, 0, 0, 1]])
    real, held_out = gaussians(means, 200, seed=0), gaussians(means, 100, seed=1)
    options = pixel_world.gmmn_options(noise_dim=4)
    figures = by_class(gmmn.quality(gmmn.Generator(Perfect(), means, 4, options), held_out, real))
    assert list(figures) == [0, 1]
    # Five kernels, whose unbiased estimates from 100 against 100 features scatter by about 0.02 together.
    assert all(abs(value) < 0.08 for own in figures.values() for value in own.values())
    wrong = by_class(gmmn.quality(gmmn.Generator(Perfect(), means + 1, 4, options), held_out, real))
    for label, own in figures.items():
        assert wrong[label]["generated"] > 0.5 and wrong[label]["real"] == own["real"]


def test_quality_compares_with_real_features_of_all_images():
    """The pool is in the order of images; here the first are far from the rest, and so are a tenth of those held out."""
    means = torch.zeros(1, 4)
    shift = (np.arange(400) < 100)[:, None] * 6.0
    features = np.random.default_rng(0).normal(size=(400, 4)) + shift
    table = {"features": features.astype(np.float16), "label": np.zeros(400, np.uint8), "weight": np.ones(400)}
    held_out = np.arange(400) % 4 == 0
    test, real = (pools.select({k: v[keep] for k, v in table.items()}, [0]) for keep in (held_out, ~held_out))
    generator = gmmn.Generator(Perfect(), means, 4, pixel_world.gmmn_options(noise_dim=4))
    ((label, own),) = by_class(gmmn.quality(generator, test, real)).items()
    assert label == 0 and own["real"] < 0.1 < own["generated"]


def test_quality_has_no_figure_where_there_are_too_few_features():
    means = torch.eye(3)
    real, held_out = gaussians(means, 20, seed=0), gaussians(means, 20, seed=1)
    few = np.flatnonzero(np.isin(np.arange(60), [*range(21), *range(40, 60)]))
    held_out = pools.select(
        {
            "features": held_out.features.numpy()[few],
            "label": np.repeat([0, 1, 2], 20)[few].astype(np.uint8),
            "weight": np.ones(len(few)),
        },
        range(3),
    )
    without = pools.select(
        {"features": real.features.numpy()[:40], "label": np.repeat([0, 1], 20), "weight": np.ones(40)}, [0, 1]
    )
    options = pixel_world.gmmn_options(noise_dim=3)
    figures = by_class(gmmn.quality(gmmn.Generator(Perfect(), means, 3, options), held_out, without))
    assert list(figures) == [0, 1, 2]
    assert figures[1] == {"generated": None, "real": None}
    assert figures[2]["real"] is None and figures[2]["generated"] is not None
    assert None not in figures[0].values()
