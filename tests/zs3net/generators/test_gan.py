import numpy as np
import pytest
import torch

from tests.support import quick_sections
from zeroshot.base import training
from zeroshot.cache import pools
from zeroshot.zs3net.generators import gan, registry

CPU = torch.device("cpu")
MEANS = np.array([[1.0, 1, 1, 1], [4, 0, 2, 1]])
DEVIATIONS = np.array([0.5, 1.0])


def two_classes(n=200, counts=None):
    """Return a pool of two classes, Gaussians with different means and standard deviations."""
    labels = np.repeat([0, 1], counts or [n, n])
    noise = np.random.default_rng(0).normal(size=(len(labels), 4))
    features = (MEANS[labels] + DEVIATIONS[labels, None] * noise).astype(np.float16)
    return pools.select({"features": features, "label": labels, "weight": np.ones(len(labels))}, [0, 1])


def trained(real=None, classification=0.01, **changes):
    section = {"critic_hidden_dim": 32, "critic_steps": 5, "gradient_penalty": 0.3, "lr": 0.005}
    section["classification"] = classification
    changes = {"output": "linear", "batch_per_class": 32, "epochs": 4, "steps_per_epoch": 50} | changes
    generator = registry.build(
        quick_sections.gmmn_options(generator="gan", gan=section, **changes), torch.eye(2), 4, CPU
    )
    return generator, list(generator.fit(real or two_classes()))


def draw(generator, label, n=1000):
    with torch.no_grad():
        return generator.sample(torch.full((n,), label), torch.Generator().manual_seed(5)).numpy()


def inputs(n=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    x, a = torch.randn(2, n, 4, generator=random), torch.randn(2, n, 3, generator=random)
    return x, a, torch.ones(2, n, dtype=torch.bool)


def test_learns_means_and_deviations_of_two_classes():
    generator, curve = trained()
    for label in (0, 1):
        fake = draw(generator, label)
        np.testing.assert_allclose(fake.mean(0), MEANS[label], atol=0.45)
        np.testing.assert_allclose(fake.std(0), DEVIATIONS[label], atol=0.45)
    assert [row["epoch"] for row in curve] == list(range(4))
    assert all(set(row) == {"epoch", "loss", "gradient_penalty"} for row in curve)
    assert abs(curve[-1]["loss"]) < 0.3 * curve[0]["loss"]


def test_penalty_of_a_quadratic_critic_equals_the_known_value():
    """The gradient of D(x, a) = |x|^2 / 2 + x . a with respect to x is x + a."""
    x, a, mask = inputs()
    a = torch.cat([a, torch.zeros(2, 6, 1)], dim=-1)
    value = gan.gradient_penalty(lambda x, a: x.square().sum(-1) / 2 + (x * a).sum(-1), x.clone(), a, mask)
    assert value.item() == pytest.approx(((x + a).norm(dim=-1) - 1).square().mean().item(), rel=1e-5)


def test_penalty_equals_finite_differences():
    torch.manual_seed(0)
    critic = gan.Critic(3, 4, 16).double()
    x, a, mask = inputs()
    x, a = x.double(), a.double()
    step = 1e-6
    gradient = torch.stack(
        [(critic(x + step * unit, a) - critic(x - step * unit, a)) / (2 * step) for unit in torch.eye(4).double()], -1
    )
    expected = (gradient.norm(dim=-1) - 1).square().mean()
    torch.testing.assert_close(gan.gradient_penalty(critic, x, a, mask), expected, rtol=1e-4, atol=1e-8)


def test_penalty_has_a_gradient_for_the_critic():
    critic = gan.Critic(3, 4, 16)
    gan.gradient_penalty(critic, *inputs()).backward()
    assert all(layer.weight.grad.abs().sum() > 0 for layer in (critic.layers[0], critic.layers[2]))


def test_training_penalises_random_points_between_synthetic_and_real_features(monkeypatch):
    """Each point is on the line between one synthetic and one real feature, and the points of a batch are spread along the lines."""
    ends, points = [], []
    distance, penalty = gan.distance, gan.gradient_penalty
    monkeypatch.setattr(gan, "distance", lambda *arguments: ends.append(arguments[1:3]) or distance(*arguments))
    monkeypatch.setattr(gan, "gradient_penalty", lambda *arguments: points.append(arguments[1]) or penalty(*arguments))
    trained(epochs=1, steps_per_epoch=4)
    assert len(points) == len(ends) == 20
    positions = []
    for (real, fake), point in zip(ends, points, strict=True):
        line, moved = real - fake, point.detach() - fake
        position = (moved * line).sum(-1) / line.square().sum(-1)
        torch.testing.assert_close(moved, position[..., None] * line, rtol=1e-4, atol=1e-4)
        positions.append(position.ravel())
    # Uniform on [0, 1): of n = 20 x 64 positions, each tenth has n / 10 with a standard deviation of sqrt(n 0.1 0.9).
    counts = torch.histc(torch.cat(positions), bins=10, min=0, max=1)
    assert counts.sum() == 1280 and ((counts - 128).abs() < 5 * (1280 * 0.09) ** 0.5).all()


def test_masked_rows_are_ignored_and_classes_have_equal_weight():
    critic = gan.Critic(3, 4, 16)
    x, a, mask = inputs()
    fake = inputs(seed=1)[0]
    mask[0, 1:] = False
    means = [critic(x[0, :1], a[0, :1]).mean(), critic(x[1], a[1]).mean()]
    expected = (means[0] + means[1]) / 2 - critic(fake, a).mean()
    torch.testing.assert_close(gan.distance(critic, x, fake, a, mask), expected)
    before = gan.gradient_penalty(critic, x.clone(), a, mask)
    x[0, 1:] = 100.0
    torch.testing.assert_close(gan.gradient_penalty(critic, x.clone(), a, mask), before)
    assert not torch.isclose(gan.gradient_penalty(critic, x.clone(), a, torch.ones_like(mask)), before)


def test_learns_a_class_smaller_than_the_batch():
    generator, _ = trained(two_classes(counts=[200, 9]))
    np.testing.assert_allclose(draw(generator, 1).mean(0), MEANS[1], atol=0.8)


def test_training_is_reproducible_whatever_the_global_random_state():
    one, curve = trained(dropout=0.3, epochs=1, steps_per_epoch=5)
    torch.rand(7)
    two, again = trained(dropout=0.3, epochs=1, steps_per_epoch=5)
    assert curve == again and np.array_equal(draw(one, 0), draw(two, 0))
    other, _ = trained(dropout=0.3, epochs=1, steps_per_epoch=5, seed=1)
    assert not np.array_equal(draw(one, 0), draw(other, 0))


def test_saving_and_loading_preserves_features():
    generator, _ = trained(epochs=1, steps_per_epoch=5)
    saved = registry.save_dict(generator)
    assert not any("critic" in name for name in saved["network"])
    assert np.array_equal(draw(registry.load_dict(saved, CPU), 1), draw(generator, 1))


def test_features_of_nan_raise_an_error():
    real = two_classes()
    real.features[5:] = np.nan
    with pytest.raises(training.DivergedError) as error:
        trained(real)
    assert str(error.value) == "gmmn: the loss is nan in epoch 0, step 0; lower gmmn.gan.lr"


def likelihood(features):
    """Return the density (n, 2) of features (n, 4) in the two classes, which are isotropic Gaussians."""
    squared = ((features[:, None] - MEANS) ** 2).sum(-1)
    return np.exp(-squared / 2 / DEVIATIONS**2) / DEVIATIONS**4


def test_classification_loss_is_the_mean_negative_log_probability_of_the_class():
    """Compare with a loop over features, for a classifier with known outputs."""
    features = np.random.default_rng(0).normal(size=(3, 5, 4))
    weight = np.random.default_rng(1).normal(size=(3, 4))
    total = 0.0
    for label in range(3):
        for feature in features[label]:
            powers = [np.exp(feature @ row) for row in weight]
            total -= np.log(powers[label] / sum(powers))
    value = gan.classification_loss(lambda x: x @ torch.from_numpy(weight).T, torch.from_numpy(features))
    assert value.item() == pytest.approx(total / 15)


def test_pretrained_classifier_is_nearly_as_accurate_as_the_true_densities():
    real = two_classes()
    options = quick_sections.gmmn_options(batch_per_class=32, epochs=4, steps_per_epoch=50)
    classifier = gan.pretrain(real, options, lr=0.05)
    rng = np.random.default_rng(7)
    fresh = MEANS[:, None] + DEVIATIONS[:, None, None] * rng.normal(size=(2, 2000, 4))
    predicted = classifier(torch.from_numpy(fresh).float()).argmax(-1).numpy()
    ideal = np.stack([likelihood(x).argmax(1) for x in fresh])
    truth = np.array([[0], [1]])
    assert (predicted == truth).mean() > (ideal == truth).mean() - 0.03 > 0.9
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


def test_the_classifier_moves_features_to_the_side_of_their_class():
    """With a weight that outweighs the critic, features move away from the other class, beyond the mean of their own."""
    direction = MEANS[1] - MEANS[0]
    apart = {}
    for weight in (0, 100):
        generator, _ = trained(classification=weight, epochs=1)
        apart[weight] = (draw(generator, 1).mean(0) - draw(generator, 0).mean(0)) @ direction / (direction @ direction)
    assert apart[100] > 1.4 * apart[0] > 0


def test_the_classifier_knows_only_the_classes_of_the_pool(monkeypatch):
    """In a fold of cross-validation the pool lacks the held-out classes."""
    classifiers = []
    original = gan.pretrain
    monkeypatch.setattr(gan, "pretrain", lambda *arguments: classifiers.append(original(*arguments)) or classifiers[-1])
    labels = np.repeat([0, 2, 5], 40)
    features = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float16)
    rows = {"features": features, "label": labels, "weight": np.ones(120)}
    options = quick_sections.gmmn_options(generator="gan", epochs=1, steps_per_epoch=2)
    list(registry.build(options, torch.eye(6), 4, CPU).fit(pools.select(rows, [0, 5])))
    assert [classifier.weight.shape for classifier in classifiers] == [(2, 4)]
    without = quick_sections.gmmn_section()["gan"] | {"classification": 0.0}
    options = quick_sections.gmmn_options(generator="gan", epochs=1, steps_per_epoch=2, gan=without)
    list(registry.build(options, torch.eye(6), 4, CPU).fit(pools.select(rows, [0, 5])))
    assert len(classifiers) == 1
