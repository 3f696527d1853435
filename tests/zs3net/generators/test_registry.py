"""A new generator needs one class and one entry of the registry."""

import pytest
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.base import checkpoints, params, user_files
from zeroshot.cache import pools
from zeroshot.zs3net.generators import generator, matching, registry

CPU = torch.device("cpu")


class Means(generator.Generator):
    """A generator that stores the mean feature of each class, and the `context` of its training."""

    def __init__(self, options, embeddings, feature_dim):
        super().__init__(options, embeddings, feature_dim)
        self.register_buffer("table", torch.zeros(256, feature_dim))
        self.context_of_training = "no context"

    def get_extra_state(self):
        return self.context_of_training

    def set_extra_state(self, state):
        self.context_of_training = state

    def epochs(self, real, context):
        assert self.training
        self.context_of_training = context
        for label in real.labels.tolist():
            self.table[label] = pools.of_class(real, label).mean(0)
        yield {"epoch": 0, "loss": 0.0}

    def sample(self, labels, random):
        return self.table[labels] + torch.rand(*labels.shape, 1, generator=random)


@pytest.fixture
def means(monkeypatch):
    """Register the generator `means` and return its options."""
    monkeypatch.setitem(registry.GENERATORS, "means", Means)
    return quick_sections.gmmn_options(generator="means")


def test_a_registered_generator_can_be_built_trained_sampled_saved_and_loaded(means, tmp_path):
    real = pools.select(pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 20)), pixel_world.SEEN)
    embeddings = torch.from_numpy(pixel_world.vectors())
    built = registry.build(means, embeddings, pixel_world.DIM, CPU)
    assert list(built.fit(real, context="graphs")) == [{"epoch": 0, "loss": 0.0}]
    assert not built.training
    labels = torch.tensor([pixel_world.SEEN[:2], pixel_world.SEEN[1:3]])
    sampled_features = built.sample(labels, torch.Generator().manual_seed(3))
    expected = torch.stack([pools.of_class(real, label).mean(0) for label in labels.flatten().tolist()]).reshape(
        2, 2, -1
    )
    noise = torch.rand(2, 2, 1, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(sampled_features, expected + noise)
    checkpoints.save(tmp_path / "gmmn.pt", registry.save_dict(built))
    loaded = registry.load_dict(checkpoints.load(tmp_path / "gmmn.pt"), CPU)
    assert torch.equal(loaded.sample(labels, torch.Generator().manual_seed(3)), sampled_features)
    assert loaded.context_of_training == "graphs"
    assert {row["features"] for row in matching.quality(loaded, real, real, means)} == {"generated", "real"}


def test_an_unknown_name_raises_an_error(means):
    with pytest.raises(params.ParamsError) as error:
        quick_sections.gmmn_options(generator="meens")
    assert str(error.value) == (
        "params: 1 error\n  gmmn.generator: there is no generator of this name; "
        f"known are {', '.join(registry.GENERATORS)} (found 'meens')"
    )


@pytest.mark.parametrize(
    ("classes", "dim", "fault"),
    [
        (pixel_world.CLASSES, 5, "it generates features of length 8, and the cached ones have 5"),
        (pixel_world.CLASSES[:-1], 8, "its classes are not those of the split"),
        (pixel_world.CLASSES[::-1], 8, "its classes are not those of the split"),
    ],
    ids=["features", "fewer classes", "other order"],
)
def test_a_generator_of_another_run_is_refused(tmp_path, classes, dim, fault):
    path = tmp_path / "gmmn.pt"
    built = registry.build(quick_sections.gmmn_options(), torch.from_numpy(pixel_world.vectors()), 8, CPU)
    checkpoints.save(path, {"classes": list(pixel_world.CLASSES), **registry.save_dict(built)})
    assert registry.load(path, CPU, pixel_world.CLASSES, 8).feature_dim == 8
    with pytest.raises(checkpoints.CheckpointError) as caught:
        registry.load(path, CPU, classes, dim)
    assert str(caught.value) == f"{path}: is a generator of another run: {fault}; {user_files.REMEDY}"
