"""A generator that is one file and one line of the registry."""

import types

import pytest
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.base import checkpoints, params
from zeroshot.cache import pools
from zeroshot.zs3net.generators import gmmn, registry

CPU = torch.device("cpu")


class Means(torch.nn.Module):
    """Remembers the mean feature of each class it saw, and what `context` it was given."""

    def __init__(self, feature_dim):
        super().__init__()
        self.register_buffer("table", torch.zeros(256, feature_dim))
        self.learnt = "nothing"

    def get_extra_state(self):
        return self.learnt

    def set_extra_state(self, state):
        self.learnt = state


def build(embedding_dim, feature_dim, options):
    return Means(feature_dim)


def fit(network, embeddings, real, options, context):
    assert network.training
    network.learnt = context
    for label in real.labels.tolist():
        network.table[label] = pools.of_class(real, label).mean(0)
    yield {"epoch": 0, "loss": 0.0}


def sample(network, embeddings, labels, options, random):
    return network.table[labels] + torch.rand(*labels.shape, 1, generator=random)


@pytest.fixture
def means(monkeypatch):
    """The options of a generator `means`, made of the three functions above."""
    file = types.SimpleNamespace(build=build, fit=fit, sample=sample)
    monkeypatch.setitem(registry.GENERATORS, "means", file)
    return quick_sections.gmmn_options(generator="means")


def test_it_is_built_fitted_sampled_saved_and_loaded_through_gmmn(means, tmp_path):
    real = pools.select(pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 20)), pixel_world.SEEN)
    embeddings = torch.from_numpy(pixel_world.vectors())
    generator = gmmn.build(means, embeddings, pixel_world.DIM, CPU)
    assert list(gmmn.fit(generator, real, context="graphs")) == [{"epoch": 0, "loss": 0.0}]
    assert not generator.network.training
    labels = torch.tensor([pixel_world.SEEN[:2], pixel_world.SEEN[1:3]])
    drawn = generator.sample(labels, torch.Generator().manual_seed(3))
    expected = torch.stack([pools.of_class(real, label).mean(0) for label in labels.flatten().tolist()]).reshape(
        2, 2, -1
    )
    noise = torch.rand(2, 2, 1, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(drawn, expected + noise)
    checkpoints.save(tmp_path / "gmmn.pt", gmmn.save_dict(generator))
    loaded = gmmn.load_dict(checkpoints.load(tmp_path / "gmmn.pt"), CPU)
    assert torch.equal(loaded.sample(labels, torch.Generator().manual_seed(3)), drawn)
    assert loaded.network.learnt == "graphs"
    assert {row["features"] for row in gmmn.quality(loaded, real, real)} == {"generated", "real"}


def test_a_name_outside_the_registry_is_refused(means):
    with pytest.raises(params.ParamsError) as caught:
        quick_sections.gmmn_options(generator="meens")
    assert str(caught.value) == (
        "params: 1 error\n  gmmn.generator: there is no generator of this name; "
        f"known are {', '.join(registry.GENERATORS)} (found 'meens')"
    )
