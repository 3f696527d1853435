import itertools

import numpy as np
import pytest
import torch

from tests.support import graph_world
from zeroshot.cache import graphs
from zeroshot.images import component_graphs
from zeroshot.zs3net.generators import neighbourhoods


def of_map(labels):
    """Return the graphs of one image."""
    graph = component_graphs.of_labels(labels)
    image = np.zeros(len(graph.labels), np.int32)
    return graphs.Graphs(image, graph.components, graph.labels, graph.sizes, graph.edges)


def noise(seed, side=9):
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, 65535], np.uint16), (side, side))


def contents(actual, k):
    """Return labels and edges of neighbourhood k."""
    labels = actual.labels[actual.starts[k] : actual.starts[k + 1]]
    return labels.tolist(), set(
        map(tuple, actual.edges[:, actual.edge_starts[k] : actual.edge_starts[k + 1]].T.tolist())
    )


@pytest.mark.parametrize("most", [2, 99])
def test_a_neighbourhood_is_a_component_with_its_largest_neighbours(monkeypatch, most):
    monkeypatch.setattr(neighbourhoods, "MOST_NEIGHBOURS", most)
    whole = of_map(noise(0))
    contacts = {tuple(pair) for pair in whole.edges.tolist()}
    contacts |= {pair[::-1] for pair in contacts}
    actual = neighbourhoods.of_nodes(whole, np.arange(len(whole.label)))
    trimmed = 0
    for root in range(len(whole.label)):
        around = [other for one, other in contacts if one == root]
        around = sorted(around, key=lambda node: (-int(whole.size[node]), node))
        trimmed += len(around) > most
        nodes = [root, *around[:most]]
        labels, edges = contents(actual, root)
        assert labels == whole.label[nodes].tolist()
        assert edges == {
            (i, j) for i, j in itertools.permutations(range(len(nodes)), 2) if (nodes[i], nodes[j]) in contacts
        }
    assert (trimmed > 0) is (most == 2)


def test_take_and_joined_edges_preserve_each_graph():
    whole = of_map(noise(1))
    actual = neighbourhoods.of_nodes(whole, np.arange(len(whole.label)))
    chosen = [3, 0, 3, 5]
    selected = actual.take(torch.tensor(chosen))
    assert selected.root_labels.tolist() == actual.root_labels[chosen].tolist()
    joined = set(map(tuple, selected.joined_edges().T.tolist()))
    expected = set()
    for place, k in enumerate(chosen):
        labels, edges = contents(actual, k)
        assert contents(selected, place) == (labels, edges)
        expected |= {(int(selected.starts[place]) + i, int(selected.starts[place]) + j) for i, j in edges}
    assert joined == expected and selected.joined_edges().shape[1] == len(joined)
    assert len(actual.take(torch.zeros(0, dtype=torch.int64)).labels) == 0


def test_with_roots_replaces_only_roots():
    actual = neighbourhoods.of_nodes(of_map(noise(2)), np.arange(4))
    replaced = actual.with_roots(torch.tensor([9, 8, 7, 6]))
    assert replaced.root_labels.tolist() == [9, 8, 7, 6]
    others = torch.ones(len(actual.labels), dtype=torch.bool)
    others[actual.starts[:-1]] = False
    assert torch.equal(replaced.labels[others], actual.labels[others]) and others.any()
    assert torch.equal(actual.root_labels, neighbourhoods.of_nodes(of_map(noise(2)), np.arange(4)).root_labels)


def test_each_row_has_the_neighbourhood_of_its_component():
    graph, sampled = graph_world.make()
    actual = neighbourhoods.of_rows(graph, sampled, graph_world.SEEN)
    assert (actual.rows >= 0).all() and len(actual.rows) == len(sampled["label"])
    for row, (image, component) in enumerate(zip(sampled["image"], sampled["component"], strict=True)):
        (node,) = np.flatnonzero((graph.image == image) & (graph.component == component))
        labels, edges = contents(actual.neighbourhoods, actual.rows[row])
        assert labels == [graph.label[node], graph.label[node ^ 1]] and edges == {(0, 1), (1, 0)}


def test_rows_of_augmented_views_and_unknown_components_have_no_neighbourhood():
    graph, sampled = graph_world.make()
    sampled["view"][::2] = 1
    sampled["component"][1] = 77
    actual = neighbourhoods.of_rows(graph, sampled, graph_world.SEEN).rows
    assert (actual[::2] == -1).all() and actual[1] == -1 and (actual[3::2] >= 0).all()


@pytest.mark.parametrize("hidden", [0, 5])
def test_images_with_a_hidden_class_have_no_neighbourhoods(hidden):
    graph, sampled = graph_world.make()
    seen = [label for label in graph_world.SEEN if label != hidden]
    actual = neighbourhoods.of_rows(graph, sampled, seen)
    has_seen_label = np.isin(sampled["label"], seen)
    shows = np.isin(sampled["image"][has_seen_label], graph.image[graph.label == hidden])
    assert shows.any() and not shows.all()
    assert ((actual.rows.numpy() == -1) == shows).all()
    assert not (actual.neighbourhoods.labels == hidden).any()


def test_a_cache_without_graphs_has_no_neighbourhoods():
    assert neighbourhoods.of_rows(None, graph_world.make()[1], graph_world.SEEN) is None


def test_of_classes_bounds_the_components_of_each_class():
    whole = of_map(noise(3, side=15))
    counts = np.bincount(whole.label, minlength=3)
    actual = neighbourhoods.of_classes(whole, (2, 1), most=4, seed=0)
    assert counts[1:].min() > 4 and actual.root_labels.tolist() == [2] * 4 + [1] * 4
    assert torch.equal(neighbourhoods.of_classes(whole, (2, 1), 4, 0).labels, actual.labels)
    unbounded = neighbourhoods.of_classes(whole, (0, 1, 2), 999, 0)
    assert torch.bincount(unbounded.root_labels).tolist() == counts.tolist()
    assert len(neighbourhoods.of_classes(whole, (), 4, 0).root_labels) == 0


def test_concatenation_preserves_each_graph():
    one, other = (neighbourhoods.of_nodes(of_map(noise(seed)), np.arange(5)) for seed in (4, 5))
    concatenated = neighbourhoods.concatenate(one, other)
    for k in range(5):
        assert contents(concatenated, k) == contents(one, k) and contents(concatenated, 5 + k) == contents(other, k)
