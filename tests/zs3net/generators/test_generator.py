import pytest
import torch

from tests.support import quick_sections, small_generator
from zeroshot.zs3net.generators import registry


@pytest.mark.parametrize(("noise", "low", "mean", "std"), [("uniform", 0.0, 0.5, 12**-0.5), ("gaussian", None, 0, 1)])
def test_noise_has_the_named_distribution(noise, low, mean, std):
    options = quick_sections.gmmn_options(noise=noise, noise_dim=50)
    generator = registry.build(options, torch.eye(3), 53, small_generator.CPU)
    # The output is the input: the embedding and the noise, concatenated.
    layer = torch.nn.Linear(53, 53)
    layer.weight.data, layer.bias.data = torch.eye(53), torch.zeros(53)
    generator.layers = torch.nn.Sequential(layer)
    labels = torch.tensor([[2, 0], [1, 1]]).repeat(50, 1)
    out = small_generator.draw(generator, labels)
    assert torch.equal(out[..., :3], torch.eye(3)[labels])
    values = out[..., 3:]
    assert values.mean().item() == pytest.approx(mean, abs=0.04) and values.std().item() == pytest.approx(std, abs=0.04)
    if low is not None:
        assert values.min() >= 0 and values.max() < 1
    else:
        assert values.min() < -2.5 and values.max() > 2.5


def test_sampling_depends_only_on_the_random_generator():
    generator, _ = small_generator.trained(dropout=0.5)
    labels = [0, 1, 1]
    one = small_generator.draw(generator, labels)
    torch.rand(5)
    assert torch.equal(small_generator.draw(generator, labels), one)
    assert not torch.equal(small_generator.draw(generator, labels, seed=1), one)


@pytest.mark.parametrize("sampling_dropout", [False, True])
def test_sampling_dropout_switches_dropout_at_sampling(sampling_dropout):
    generator, _ = small_generator.trained(dropout=0.5, sampling_dropout=sampling_dropout, steps_per_epoch=2)
    for sampler in (generator, registry.load_dict(registry.save_dict(generator), small_generator.CPU)):
        # The noise is the same in both calls, so only dropout can differ.
        first, second = (small_generator.draw(sampler, [0, 1]) for _ in range(2))
        assert torch.equal(first, second) is not sampling_dropout


def test_feature_dim_is_the_length_of_features_and_is_saved():
    generator = small_generator.build(feature_dim=7)
    assert (
        generator.feature_dim
        == small_generator.draw(generator, [0]).shape[1]
        == registry.save_dict(generator)["feature_dim"]
        == 7
    )
    assert registry.load_dict(registry.save_dict(generator), small_generator.CPU).feature_dim == 7


def test_saving_and_loading_preserves_features():
    generator, _ = small_generator.trained(noise="uniform", dropout=0.2)
    saved = registry.save_dict(generator)
    loaded = registry.load_dict(saved, small_generator.CPU)
    assert loaded.options == generator.options and torch.equal(loaded.embeddings, generator.embeddings)
    assert torch.equal(small_generator.draw(loaded, [0, 1, 1, 0]), small_generator.draw(generator, [0, 1, 1, 0]))
    assert saved["feature_dim"] == 4


def test_a_generator_of_an_older_version_computes_in_float32():
    saved = registry.save_dict(small_generator.build())
    del saved["config"]["precision"]
    assert registry.load_dict(saved, small_generator.CPU).options.precision == "float32"


def test_relu_features_are_never_negative():
    assert small_generator.draw(small_generator.build(output="relu"), [0, 1] * 50).min() == 0
    assert small_generator.draw(small_generator.build(output="linear"), [0, 1] * 50).min() < 0
