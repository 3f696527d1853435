import numpy as np
import pytest
import torch

from tests.support import graph_world
from zeroshot.cache import graphs
from zeroshot.images import component_graphs
from zeroshot.zs3net.generators import scenes


def of_map(labels):
    """Return the graphs of one image."""
    graph = component_graphs.of_labels(labels)
    image = np.zeros(len(graph.labels), np.int32)
    return graphs.Graphs(image, graph.components, graph.labels, graph.edges)


def noise(seed, side=9):
    return np.random.default_rng(seed).choice(np.array([0, 1, 300, 65535], np.uint16), (side, side))


def contents(actual, k):
    """Return what place k is: labels and edges of its graph, and its component in the graph."""
    graph = int((actual.starts <= actual.roots[k]).sum()) - 1
    first = int(actual.starts[graph])
    edges = actual.edges[:, actual.edge_starts[graph] : actual.edge_starts[graph + 1]] - first
    labels = actual.labels[first : actual.starts[graph + 1]].tolist()
    return labels, sorted(map(tuple, edges.T.tolist())), int(actual.roots[k]) - first


def three_images():
    """Return the graphs of three random label maps, and for each of their nodes what its place should be."""
    maps = [component_graphs.of_labels(noise(seed, side)) for seed, side in ((0, 9), (1, 5), (2, 7))]
    expected = []
    for graph in maps:
        edges = {tuple(pair) for pair in graph.edges.tolist()}
        edges = sorted(edges | {pair[::-1] for pair in edges})
        expected += [(graph.labels.tolist(), edges, node) for node in range(len(graph.labels))]
    return graphs.join(maps), expected


def test_a_place_is_a_component_in_the_graph_of_its_whole_mask():
    whole, expected = three_images()
    actual = scenes.of_nodes(whole, np.arange(len(whole.label)))
    assert [contents(actual, k) for k in range(len(expected))] == expected
    assert len(actual.labels) == len(whole.label) and actual.edges.shape[1] == 2 * len(whole.edges)


def test_graphs_of_images_without_places_are_not_stored():
    whole, expected = three_images()
    last = len(whole.label) - 1
    nodes = np.array([last, 0, last - 1])
    actual = scenes.of_nodes(whole, nodes)
    assert [contents(actual, k) for k in range(3)] == [expected[node] for node in nodes]
    assert len(actual.labels) == (whole.image != 1).sum() and len(actual.starts) == 3


def test_take_preserves_each_place_and_stores_a_shared_graph_once():
    whole, expected = three_images()
    actual = scenes.of_nodes(whole, np.arange(len(whole.label)))
    second = int(np.flatnonzero(whole.image == 1)[0])
    chosen = [second + 1, 0, second, 3, 0]
    taken = actual.take(torch.tensor(chosen))
    assert [contents(taken, k) for k in range(5)] == [expected[node] for node in chosen]
    assert len(taken.labels) == (whole.image < 2).sum() and taken.roots[1] == taken.roots[4]
    assert taken.sizes.tolist() == [(whole.image == whole.image[node]).sum() for node in chosen]
    assert len(actual.take(torch.zeros(0, dtype=torch.int64)).labels) == 0


def test_places_share_a_graph_only_if_their_copies_are_equal():
    whole, expected = three_images()
    actual = scenes.of_nodes(whole, np.arange(len(whole.label)))
    chosen = [0, 3, 0, 1, 0]
    assert scenes.occurrences(torch.tensor(chosen)).tolist() == [0, 0, 1, 0, 2]
    size = (whole.image == 0).sum()
    for copies, n_graphs in (([0, 0, 1, 0, 2], 3), ([0, 1, 2, 3, 4], 5)):
        taken = actual.take(torch.tensor(chosen), torch.tensor(copies))
        assert [contents(taken, k) for k in range(5)] == [expected[node] for node in chosen]
        assert len(taken.labels) == n_graphs * size and len(taken.starts) == n_graphs + 1
        owners = taken.roots // size
        assert ((owners[:, None] == owners) == (torch.tensor(copies)[:, None] == torch.tensor(copies))).all()


def test_with_roots_replaces_only_the_components_of_places():
    actual = scenes.of_nodes(of_map(noise(2)), np.arange(4)).take(torch.arange(4), torch.arange(4))
    before = actual.labels.clone()
    replaced = actual.with_roots(torch.tensor([9, 8, 7, 6]))
    assert replaced.root_labels.tolist() == [9, 8, 7, 6]
    others = torch.ones(len(actual.labels), dtype=torch.bool)
    others[actual.roots] = False
    assert torch.equal(replaced.labels[others], actual.labels[others]) and others.any()
    assert torch.equal(actual.labels, before)


def test_each_row_has_the_place_of_its_component():
    graph, sampled = graph_world.make()
    actual = scenes.of_rows(graph, sampled, graph_world.SEEN)
    assert (actual.rows >= 0).all() and len(actual.rows) == len(sampled["label"])
    for row, (image, component) in enumerate(zip(sampled["image"], sampled["component"], strict=True)):
        (node,) = np.flatnonzero((graph.image == image) & (graph.component == component))
        first = node // 2 * 2
        expected = graph.label[first : first + 2].tolist(), [(0, 1), (1, 0)], node - first
        assert contents(actual.places, actual.rows[row]) == expected


def test_rows_of_augmented_views_and_unknown_components_have_no_place():
    graph, sampled = graph_world.make()
    sampled["view"][::2] = 1
    sampled["component"][1] = 77
    actual = scenes.of_rows(graph, sampled, graph_world.SEEN).rows
    assert (actual[::2] == -1).all() and actual[1] == -1 and (actual[3::2] >= 0).all()


@pytest.mark.parametrize("hidden", [0, 5])
def test_images_with_a_hidden_class_have_no_places(hidden):
    graph, sampled = graph_world.make()
    seen = [label for label in graph_world.SEEN if label != hidden]
    actual = scenes.of_rows(graph, sampled, seen)
    has_seen_label = np.isin(sampled["label"], seen)
    shows = np.isin(sampled["image"][has_seen_label], graph.image[graph.label == hidden])
    assert shows.any() and not shows.all()
    assert ((actual.rows.numpy() == -1) == shows).all()
    assert not (actual.places.labels == hidden).any()


def test_a_cache_without_graphs_has_no_places():
    assert scenes.of_rows(None, graph_world.make()[1], graph_world.SEEN) is None


def test_of_classes_bounds_the_components_of_each_class():
    whole = of_map(noise(3, side=15))
    labels, counts = np.unique(whole.label, return_counts=True)
    actual = scenes.of_classes(whole, (300, 1), most=4, seed=0)
    assert labels.tolist() == [0, 1, 300] and counts.min() > 4
    assert actual.root_labels.tolist() == [300] * 4 + [1] * 4
    assert torch.equal(scenes.of_classes(whole, (300, 1), 4, 0).labels, actual.labels)
    unbounded = scenes.of_classes(whole, (0, 1, 300), 999, 0)
    assert torch.unique(unbounded.root_labels, return_counts=True)[1].tolist() == counts.tolist()
    assert len(scenes.of_classes(whole, (), 4, 0).root_labels) == 0


def test_concatenation_preserves_each_place():
    one, other = (scenes.of_nodes(of_map(noise(seed)), np.arange(5)) for seed in (4, 5))
    concatenated = scenes.concatenate(one, other)
    for k in range(5):
        assert contents(concatenated, k) == contents(one, k) and contents(concatenated, 5 + k) == contents(other, k)
