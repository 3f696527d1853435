import pytest
import torch

from tests.support import quick_sections, small_gmmn
from zeroshot.zs3net.generators import gmmn


class Recorder(torch.nn.Module):
    """In the network's place: gives back the embedding and the noise that it was called with."""

    def forward(self, embeddings, noise):
        return torch.cat([embeddings, noise], dim=-1)


@pytest.mark.parametrize(("noise", "low", "mean", "std"), [("uniform", 0.0, 0.5, 12**-0.5), ("gaussian", None, 0, 1)])
def test_noise_is_what_it_is_called(noise, low, mean, std):
    options = quick_sections.gmmn_options(noise=noise, noise_dim=50)
    generator = gmmn.Generator(Recorder(), torch.eye(3), 53, options)
    labels = torch.tensor([[2, 0], [1, 1]]).repeat(50, 1)
    out = small_gmmn.draw(generator, labels)
    assert torch.equal(out[..., :3], torch.eye(3)[labels])
    values = out[..., 3:]
    assert values.mean().item() == pytest.approx(mean, abs=0.04) and values.std().item() == pytest.approx(std, abs=0.04)
    if low is not None:
        assert values.min() >= 0 and values.max() < 1
    else:
        assert values.min() < -2.5 and values.max() > 2.5


def test_sampling_depends_on_its_generator_alone():
    generator, _ = small_gmmn.trained(dropout=0.5)
    labels = [0, 1, 1]
    one = small_gmmn.draw(generator, labels)
    torch.rand(5)
    assert torch.equal(small_gmmn.draw(generator, labels), one)
    assert not torch.equal(small_gmmn.draw(generator, labels, seed=1), one)


@pytest.mark.parametrize("asked", [False, True])
def test_dropout_stays_on_at_sampling_only_when_asked(asked):
    generator, _ = small_gmmn.trained(dropout=0.5, sampling_dropout=asked, steps_per_epoch=2)
    for one in (generator, gmmn.load_dict(gmmn.save_dict(generator), small_gmmn.CPU)):
        # The same noise twice: what differs is dropout.
        assert torch.equal(small_gmmn.draw(one, [0, 1]), small_gmmn.draw(one, [0, 1])) is not asked


def test_a_generator_knows_the_length_of_its_features():
    generator = small_gmmn.build(feature_dim=7)
    assert (
        generator.feature_dim
        == small_gmmn.draw(generator, [0]).shape[1]
        == gmmn.save_dict(generator)["feature_dim"]
        == 7
    )
    assert gmmn.load_dict(gmmn.save_dict(generator), small_gmmn.CPU).feature_dim == 7


def test_saved_and_loaded_it_gives_the_same_features():
    generator, _ = small_gmmn.trained(noise="uniform", dropout=0.2)
    saved = gmmn.save_dict(generator)
    loaded = gmmn.load_dict(saved, small_gmmn.CPU)
    assert loaded.options == generator.options and torch.equal(loaded.embeddings, generator.embeddings)
    assert torch.equal(small_gmmn.draw(loaded, [0, 1, 1, 0]), small_gmmn.draw(generator, [0, 1, 1, 0]))
    assert saved["feature_dim"] == 4


def test_relu_features_are_never_negative():
    assert small_gmmn.draw(small_gmmn.build(output="relu"), [0, 1] * 50).min() == 0
    assert small_gmmn.draw(small_gmmn.build(output="linear"), [0, 1] * 50).min() < 0
