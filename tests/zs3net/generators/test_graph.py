"""The generator of graph convolutions: training, placing of classes, and checkpoints."""

import numpy as np
import pytest
import torch

from tests.support import graph_world, quick_sections
from zeroshot.base import checkpoints, errors
from zeroshot.cache import pools
from zeroshot.zs3net.generators import mmd, neighbourhoods, placing, registry

CPU = torch.device("cpu")
SECTION = {
    "masks": "data/pretrained/none",
    "skip": True,
    "context_weight": 1.0,
    "near": 2,
    "contexts_per_class": 20,
}


def trained(changes=None, world=None, seen=graph_world.SEEN, **section):
    """Return a generator trained on graph_world, its training curve, and the neighbourhoods of its rows."""
    graphs, sampled = world or graph_world.make()
    options = quick_sections.gmmn_options(
        generator="graph", output="linear", graph=SECTION | section, **({"epochs": 4} | (changes or {}))
    )
    generator = registry.build(options, graph_world.EMBEDDINGS, 4, CPU)
    context = neighbourhoods.of_rows(graphs, sampled, seen)
    return generator, list(generator.fit(pools.select(sampled, seen), context)), context


@pytest.fixture(scope="module")
def trained_generator():
    return trained()


def draw(generator, labels, seed=0):
    with torch.no_grad():
        return generator.sample(torch.as_tensor(labels), torch.Generator().manual_seed(seed))


class Recorder(torch.nn.Module):
    """Replaces the layers: returns the embeddings of the chosen nodes, and stores those of all nodes."""

    def forward(self, nodes, edges, chosen):
        self.nodes = nodes
        return nodes[chosen, :3]


def test_features_depend_on_the_class_and_its_neighbour(trained_generator):
    generator, curve, context = trained_generator
    assert curve[-1]["loss"] < 0.3 * curve[0]["loss"] and [row["epoch"] for row in curve] == [0, 1, 2, 3]
    places = context.neighbourhoods
    with torch.no_grad():
        random = torch.Generator().manual_seed(0)
        fakes = generator.at_places(places, random).numpy()
    pairs = places.labels.reshape(-1, 2).numpy()
    assert len({tuple(pair) for pair in pairs.tolist()}) == 12
    for label, ring in {tuple(pair) for pair in pairs.tolist()}:
        mean = fakes[(pairs == [label, ring]).all(axis=1)].mean(0)
        np.testing.assert_allclose(mean, graph_world.feature(label, ring), atol=0.45)


def test_sampled_features_follow_the_frequency_of_contexts(trained_generator):
    _, sampled = graph_world.make()
    fakes = draw(trained_generator[0], [2] * 800)
    np.testing.assert_allclose(fakes.mean(0), sampled["features"][sampled["label"] == 2].mean(0), atol=0.4)


def test_an_unseen_class_is_sampled_in_the_places_of_its_hosts(trained_generator):
    generator, _, _ = trained_generator
    layers, generator.layers = generator.layers, Recorder()
    try:
        features = draw(generator, [4] * 300)
        nodes = generator.layers.nodes[:, :3]
    finally:
        generator.layers = layers
    assert (features == graph_world.EMBEDDINGS[4]).all()
    roots = (nodes == graph_world.EMBEDDINGS[4]).all(1)
    assert roots.sum() == 300 and roots[::2].all(), "an unseen class is only a root"
    around = (nodes[~roots][:, None] == graph_world.EMBEDDINGS[None]).all(2).int().argmax(1)
    # The hosts are 2, which is in 0 and 5, and 3, which is in 0 and 1; 0 and 1 are only in 5.
    shares = torch.bincount(around, minlength=6) / 300
    assert torch.equal(shares.nonzero().ravel(), torch.tensor([0, 1, 5]))
    assert shares[1].item() == pytest.approx(0.25, abs=0.12) and shares[5].item() == pytest.approx(0.25, abs=0.12)


def test_near_equals_ridge_regression_from_embeddings_to_surroundings():
    """Compare with ridge regression as a least-squares problem with added rows."""
    rng = np.random.default_rng(0)
    vectors, around = rng.normal(size=(9, 3)), rng.normal(size=(8, 3))
    candidates = np.array([0, 1, 2, 3, 5, 6, 7, 8])
    # The background, 0, is excluded.
    x, y = vectors[candidates[1:]], around[1:] - around[1:].mean(0)
    x, target = x - x.mean(0), vectors[4] - x.mean(0)
    weight = (placing._RIDGE * (x**2).sum(1).mean()) ** 0.5
    fit, *_ = np.linalg.lstsq(np.concatenate([x, weight * np.eye(3)]), np.concatenate([y, np.zeros((3, 3))]))
    expected = target @ fit
    cosines = y @ expected / np.linalg.norm(y, axis=1) / np.linalg.norm(expected)
    order = candidates[1:][np.argsort(-cosines)].tolist()
    arguments = [torch.from_numpy(array) for array in (candidates, around)]
    for count in (1, 2, 3, 20):
        assert placing.near(torch.from_numpy(vectors), 4, *arguments, count) == order[:count]
        assert placing.near(torch.from_numpy(10 * vectors), 4, *arguments, count) == order[:count]
    assert placing.near(torch.from_numpy(vectors), 3, *arguments, 2) == [3]


def test_near_prefers_classes_of_similar_context_to_similar_embeddings():
    """The embedding of class 5 is nearest to that of 1, but its second value, which determines the context, is that of 3 and 4."""
    vectors = torch.tensor([[4.0, 1.0], [-4.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [4.0, -1.0]])
    around = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    vectors, around = torch.cat([torch.zeros(1, 2), vectors]), torch.cat([torch.ones(1, 2), around])
    assert nearest_embedding(vectors, 5) == 1
    assert sorted(placing.near(vectors, 5, torch.arange(5), around, 2)) == [3, 4]


def test_near_returns_the_background_if_it_is_the_only_candidate():
    assert placing.near(torch.eye(3), 2, torch.tensor([0]), torch.ones(1, 3), 5) == [0]


def nearest_embedding(vectors, label):
    return int(torch.nn.functional.cosine_similarity(vectors[:label], vectors[label], dim=1).argmax())


def test_places_are_bounded_and_exclude_images_with_hidden_classes():
    generator, _, _ = trained({"epochs": 1, "steps_per_epoch": 1}, contexts_per_class=7)
    roots = generator.places.root_labels
    assert torch.equal(roots, roots.sort().values)
    assert torch.bincount(roots, minlength=6).tolist() == [7, 7, 7, 7, 0, 7]
    generator, _, _ = trained({"epochs": 1, "steps_per_epoch": 1}, seen=(0, 1, 2, 3))
    # Classes 0 and 1 are only inside rings of the hidden class 5, and are rings themselves elsewhere.
    assert not (generator.places.labels == 5).any()
    assert torch.isfinite(draw(generator, [5, 4, 0])).all()


def test_images_with_a_hidden_class_do_not_reach_the_training():
    world, altered = graph_world.make(), graph_world.make()
    shown = np.isin(altered[1]["image"], altered[0].image[altered[0].label == 3])
    altered[1]["features"][shown] = 9
    short = {"epochs": 1, "steps_per_epoch": 5}
    one, other = (trained(short, each, seen=(0, 1, 2, 5))[0].layers.state_dict() for each in (world, altered))
    assert all(torch.equal(one[name], other[name]) for name in one)
    seen = trained(short, altered)[0].layers.state_dict()
    assert not all(torch.equal(seen[name], value) for name, value in trained(short)[0].layers.state_dict().items())


def test_saving_and_loading_preserves_features(trained_generator, tmp_path):
    generator, _, _ = trained_generator
    checkpoints.save(tmp_path / "gmmn.pt", registry.save_dict(generator))
    loaded = registry.load_dict(checkpoints.load(tmp_path / "gmmn.pt"), CPU)
    labels = torch.tensor([[0, 4], [4, 5]])
    assert torch.equal(draw(loaded, labels), draw(generator, labels)) and draw(loaded, labels).shape == (2, 2, 4)
    assert not torch.equal(draw(loaded, labels, seed=1), draw(loaded, labels))
    checkpoints.save(tmp_path / "again.pt", registry.save_dict(trained()[0]))
    assert (tmp_path / "again.pt").read_bytes() == (tmp_path / "gmmn.pt").read_bytes()


def test_surroundings_are_the_mean_embedding_of_neighbours():
    places = neighbourhoods.Neighbourhoods(
        torch.tensor([2, 0, 1, 3]), torch.tensor([0, 3, 4]), torch.tensor([[0, 1], [1, 0]]), torch.tensor([0, 2, 2])
    )
    expected = torch.stack([graph_world.EMBEDDINGS[[0, 1]].mean(0), torch.zeros(3)])
    torch.testing.assert_close(placing.surroundings(places, graph_world.EMBEDDINGS), expected)


def test_kernel_of_features_and_surroundings_is_a_product_of_kernels():
    x, around = torch.randn(1, 6, 4), torch.randn(1, 6, 3)
    joint = mmd.gaussian(mmd.squared_distances(*[torch.cat([x, around], 2)] * 2), [1.7])
    parts = [mmd.gaussian(mmd.squared_distances(part, part), [1.7]) for part in (x, around)]
    torch.testing.assert_close(joint, parts[0] * parts[1])


def test_a_cache_without_graphs_raises_an_error_with_the_remedy():
    with pytest.raises(errors.UserError) as error:
        trained(world=(None, graph_world.make()[1]))
    assert str(error.value) == (
        "gmmn.generator: graph needs component graphs, which the cache lacks; make it again with "
        "`dvc repro --force --single-item dump_features`"
    )


def test_true_places_of_an_unseen_class_are_preferred_to_those_of_other_classes():
    graphs, sampled = graph_world.make()
    context = neighbourhoods.of_rows(graphs, sampled, graph_world.SEEN)
    # A component of class 4 that touches one of class 5, and one that touches two of class 2.
    unseen = neighbourhoods.Neighbourhoods(
        torch.tensor([4, 5, 4, 2, 2]),
        torch.tensor([0, 2, 5]),
        torch.tensor([[0, 1, 0, 1, 0, 2], [1, 0, 1, 0, 2, 0]]),
        torch.tensor([0, 2, 6]),
    )
    context = neighbourhoods.RowNeighbourhoods(context.neighbourhoods, context.rows, unseen)
    options = quick_sections.gmmn_options(
        generator="graph", graph=SECTION | {"masks": "data/masks/unlabelled"}, epochs=1, steps_per_epoch=1
    )
    generator = registry.build(options, graph_world.EMBEDDINGS, 4, CPU)
    list(generator.fit(pools.select(sampled, graph_world.SEEN), context))
    roots = generator.places.root_labels
    assert torch.equal(roots, roots.sort().values) and (roots == 4).sum() == 2 and (roots != 4).sum() == 100
    generator.layers = Recorder()
    assert (draw(generator, [4] * 60) == graph_world.EMBEDDINGS[4]).all()
    nodes = generator.layers.nodes[:, :3]
    around = {tuple(vector) for vector in nodes[(nodes != graph_world.EMBEDDINGS[4]).any(1)].tolist()}
    assert around == {tuple(graph_world.EMBEDDINGS[k].tolist()) for k in (2, 5)}
