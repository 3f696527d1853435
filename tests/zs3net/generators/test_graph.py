"""The generator of graph convolutions: training, placing of classes, and checkpoints."""

import numpy as np
import pytest
import torch

from tests.support import graph_world, quick_sections
from zeroshot.base import checkpoints, errors
from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import pools, rows
from zeroshot.zs3net.generators import graph, mmd, placing, registry, scenes

CPU = torch.device("cpu")
SECTION = {
    "masks": "data/pretrained/none",
    "skip": True,
    "context_weight": 1.0,
    "near": 2,
    "contexts_per_class": 20,
}


def trained(changes=None, world=None, seen=graph_world.SEEN, **section):
    """Return a generator trained on graph_world, its training curve, and the places of its rows."""
    graphs, sampled = world or graph_world.make()
    options = quick_sections.gmmn_options(
        generator="graph", output="linear", graph=SECTION | section, **({"epochs": 4} | (changes or {}))
    )
    generator = registry.build(options, graph_world.EMBEDDINGS, 4, CPU)
    context = scenes.of_rows(graphs, sampled, seen)
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
    places = context.places
    with torch.no_grad():
        random = torch.Generator().manual_seed(0)
        fakes = generator.at_places(places, random).numpy()
    # Places are in the order of nodes, two to an image.
    pairs = torch.stack([places.labels, places.labels.reshape(-1, 2).flip(1).ravel()], 1).numpy()
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
    assert (roots.reshape(-1, 2).sum(1) == 1).all() and len(nodes) == 600, (
        "each sample has a graph with one unseen component"
    )
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
    """The graph is a chain 2 - 0 - 1 - 3 and a lone component; the mean leaves out the component itself and those two edges away."""
    chain = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)]
    places = scenes.Places(
        labels=torch.tensor([2, 0, 1, 3, 5]),
        starts=torch.tensor([0, 4, 5]),
        edges=torch.tensor(chain).T,
        edge_starts=torch.tensor([0, 6, 6]),
        roots=torch.tensor([1, 4, 0, 1]),
    )
    expected = [graph_world.EMBEDDINGS[[2, 1]].mean(0), torch.zeros(3), graph_world.EMBEDDINGS[0]]
    expected = torch.stack([*expected, expected[0]])
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
    context = scenes.of_rows(graphs, sampled, graph_world.SEEN)
    # A component of class 4 that touches one of class 5, and one that touches two of class 2.
    unseen = scenes.Places(
        labels=torch.tensor([5, 4, 4, 2, 2]),
        starts=torch.tensor([0, 2, 5]),
        edges=torch.tensor([[0, 1], [1, 0], [2, 3], [3, 2], [2, 4], [4, 2]]).T,
        edge_starts=torch.tensor([0, 2, 6]),
        roots=torch.tensor([1, 2]),
    )
    context = scenes.RowPlaces(context.places, context.rows, unseen)
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


def kipf_and_welling(layers, nodes, edges):
    """Compute two layers D^-1/2 (A + I) D^-1/2 X W + b of a whole graph from its dense matrix, in float64, with leaky ReLU between."""
    adjacency = np.eye(len(nodes))
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 1
    degrees = adjacency.sum(axis=1)
    normalised = adjacency / np.sqrt(np.outer(degrees, degrees))
    (w1, b1), (w2, b2) = (
        (layer.lin.weight.detach().double().numpy().T, layer.bias.detach().double().numpy())
        for layer in layers.convolutions
    )
    hidden = normalised @ nodes @ w1 + b1
    return normalised @ np.maximum(hidden, 0.2 * hidden) @ w2 + b2


def large_masks():
    """Return the graphs of two random masks of many components, whose components have neighbours up to several edges away."""
    rng = np.random.default_rng(0)
    cells = [rng.choice(np.array([0, 1, 2, 3, 5, 65535], np.uint16), (12, 12)) for _ in range(2)]
    return shard_graphs.of_masks(cells, stride=1)


def untrained(noise_dim=3, **section):
    """Return an untrained generator without dropout, ready to sample once it has places."""
    options = quick_sections.gmmn_options(
        generator="graph", output="linear", noise_dim=noise_dim, graph=SECTION | {"skip": False} | section
    )
    return registry.build(options, graph_world.EMBEDDINGS, 4, CPU).eval()


class NoiseRecorder:
    """Stores the noise that a generator uses."""

    def __init__(self, generator, monkeypatch):
        self.parts = []
        original = generator.noise

        def noise(shape, random):
            self.parts.append(original(shape, random))
            return self.parts[-1]

        monkeypatch.setattr(generator, "noise", noise)


def test_features_equal_convolutions_over_the_graph_of_the_whole_mask(monkeypatch):
    """The places of a batch share graphs of two masks of about 30 components; each is computed from its mask's dense adjacency."""
    whole = large_masks()
    counts = np.bincount(whole.image)
    degrees = np.bincount(whole.edges.ravel())
    assert counts.min() > 25 and degrees.max() > 12
    generator = untrained()
    noise = NoiseRecorder(generator, monkeypatch)
    nodes = np.random.default_rng(1).permutation(len(whole.label))
    chosen = torch.tensor([*range(len(nodes)), 0, 0])
    places = scenes.of_nodes(whole, nodes).take(chosen, scenes.occurrences(chosen))
    with torch.no_grad():
        features = generator.at_places(places, torch.Generator().manual_seed(0))
    # The first place is there three times, so its mask has three runs and the other mask has one.
    first = whole.image[nodes[0]]
    runs = [image for image in (0, 1) for _ in range(3 if image == first else 1)]
    noise = np.split(noise.parts[0].double().numpy(), np.cumsum(counts[runs])[:-1])
    expected = []
    for image, of_run in zip(runs, noise, strict=True):
        used = whole.image == image
        inputs = np.concatenate([graph_world.EMBEDDINGS.double().numpy()[whole.label[used]], of_run], axis=1)
        edges = whole.edges[used[whole.edges[:, 0]]] - np.flatnonzero(used)[0]
        expected.append(kipf_and_welling(generator.layers, inputs, edges))
    outputs = [[run for run, each in zip(expected, runs, strict=True) if each == image] for image in (0, 1)]
    for k, node in enumerate(nodes[chosen.numpy()]):
        occurrence = max(0, k - len(nodes) + 1)
        within = node - np.flatnonzero(whole.image == whole.image[node])[0]
        np.testing.assert_allclose(
            features[k].numpy(), outputs[whole.image[node]][occurrence][within], rtol=1e-5, atol=1e-6
        )


def test_an_unseen_class_replaces_one_component_of_the_whole_graph(monkeypatch):
    """With a single place, its class replaced, each sample is a run over the whole mask with noise of its own."""
    whole = large_masks()
    node = int(np.flatnonzero(whole.label == 2)[0])
    generator = untrained(near=1)
    generator.places = scenes.of_nodes(whole, np.array([node]))
    noise = NoiseRecorder(generator, monkeypatch)
    features = draw(generator, [4, 4, 2])
    used = whole.image == whole.image[node]
    first = np.flatnonzero(used)[0]
    edges = whole.edges[used[whole.edges[:, 0]]] - first
    for feature, label, of_run in zip(features, (4, 4, 2), noise.parts[0].split(int(used.sum())), strict=True):
        labels = whole.label[used].copy()
        labels[node - first] = label
        inputs = torch.cat([graph_world.EMBEDDINGS[torch.from_numpy(labels).long()], of_run], 1).double().numpy()
        expected = kipf_and_welling(generator.layers, inputs, edges)[node - first]
        np.testing.assert_allclose(feature.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_sampling_in_parts_bounds_the_nodes_of_a_batch(monkeypatch):
    whole = large_masks()
    generator = untrained()
    generator.places = scenes.of_nodes(whole, np.argsort(whole.label, kind="stable"))
    most = int(2.5 * np.bincount(whole.image).max())
    monkeypatch.setattr(graph, "_NODES_AT_A_TIME", most)
    noise = NoiseRecorder(generator, monkeypatch)
    labels = torch.arange(24).reshape(2, 12) % 6
    features = draw(generator, labels)
    assert features.shape == (2, 12, 4) and len(noise.parts) > 3
    assert all(len(part) <= most + np.bincount(whole.image).max() for part in noise.parts)
    assert draw(generator, torch.zeros(0, dtype=torch.int64)).shape == (0, 4)
    generator.layers = Recorder()
    assert torch.equal(draw(generator, labels), graph_world.EMBEDDINGS[labels])


def test_a_class_smaller_than_the_batch_is_matched_at_its_own_places(monkeypatch):
    """The fill of its batch must not be features of another class."""
    graphs, sampled = graph_world.make()
    third = np.cumsum(sampled["label"] == 3) * (sampled["label"] == 3)
    sampled = rows.keep(sampled, third <= 2)
    batches = []
    original = graph.GraphContext.at_places
    monkeypatch.setattr(
        graph.GraphContext, "at_places", lambda *arguments: batches.append(arguments[1]) or original(*arguments)
    )
    trained({"epochs": 1, "steps_per_epoch": 1}, (graphs, sampled))
    labels = batches[0].root_labels.reshape(5, -1)
    assert labels.shape[1] > 2 and (labels == torch.tensor(graph_world.SEEN)[:, None]).all()
    assert len(batches[0].roots.unique()) == labels.numel(), (
        "a component that is there again has another run, with new noise"
    )
