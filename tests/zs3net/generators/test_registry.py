"""A generator that is one file and one line of the registry."""

import pytest
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.base import checkpoints, params
from zeroshot.cache import pools
from zeroshot.zs3net.generators import generator, matching, registry

CPU = torch.device("cpu")


class Means(generator.Generator):
    """Remembers the mean feature of each class it saw, and the `context` it was given."""

    def __init__(self, options, embeddings, feature_dim):
        super().__init__(options, embeddings, feature_dim)
        self.register_buffer("table", torch.zeros(256, feature_dim))
        self.learnt = "nothing"

    def get_extra_state(self):
        return self.learnt

    def set_extra_state(self, state):
        self.learnt = state

    def epochs(self, real, context):
        assert self.training
        self.learnt = context
        for label in real.labels.tolist():
            self.table[label] = pools.of_class(real, label).mean(0)
        yield {"epoch": 0, "loss": 0.0}

    def sample(self, labels, random):
        return self.table[labels] + torch.rand(*labels.shape, 1, generator=random)


@pytest.fixture
def means(monkeypatch):
    """The options of a generator `means`, which is the class above."""
    monkeypatch.setitem(registry.GENERATORS, "means", Means)
    return quick_sections.gmmn_options(generator="means")


def test_it_is_built_fitted_sampled_saved_and_loaded_by_its_name(means, tmp_path):
    real = pools.select(pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 20)), pixel_world.SEEN)
    embeddings = torch.from_numpy(pixel_world.vectors())
    built = registry.build(means, embeddings, pixel_world.DIM, CPU)
    assert list(built.fit(real, context="graphs")) == [{"epoch": 0, "loss": 0.0}]
    assert not built.training
    labels = torch.tensor([pixel_world.SEEN[:2], pixel_world.SEEN[1:3]])
    drawn = built.sample(labels, torch.Generator().manual_seed(3))
    expected = torch.stack([pools.of_class(real, label).mean(0) for label in labels.flatten().tolist()]).reshape(
        2, 2, -1
    )
    noise = torch.rand(2, 2, 1, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(drawn, expected + noise)
    checkpoints.save(tmp_path / "gmmn.pt", registry.save_dict(built))
    loaded = registry.load_dict(checkpoints.load(tmp_path / "gmmn.pt"), CPU)
    assert torch.equal(loaded.sample(labels, torch.Generator().manual_seed(3)), drawn)
    assert loaded.learnt == "graphs"
    assert {row["features"] for row in matching.quality(loaded, real, real, means)} == {"generated", "real"}


def test_a_name_outside_the_registry_is_refused(means):
    with pytest.raises(params.ParamsError) as caught:
        quick_sections.gmmn_options(generator="meens")
    assert str(caught.value) == (
        "params: 1 error\n  gmmn.generator: there is no generator of this name; "
        f"known are {', '.join(registry.GENERATORS)} (found 'meens')"
    )
