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
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, 255], np.uint8), (side, side))


def contents(found, k):
    """Return labels and edges of neighbourhood k."""
    labels = found.labels[found.starts[k] : found.starts[k + 1]]
    return labels.tolist(), set(map(tuple, found.edges[:, found.edge_starts[k] : found.edge_starts[k + 1]].T.tolist()))


@pytest.mark.parametrize("most", [2, 99])
def test_a_neighbourhood_is_a_component_with_the_largest_that_touch_it(monkeypatch, most):
    monkeypatch.setattr(neighbourhoods, "MOST_NEIGHBOURS", most)
    whole = of_map(noise(0))
    contacts = {tuple(pair) for pair in whole.edges.tolist()}
    contacts |= {pair[::-1] for pair in contacts}
    found = neighbourhoods.of_nodes(whole, np.arange(len(whole.label)))
    trimmed = 0
    for root in range(len(whole.label)):
        around = [other for one, other in contacts if one == root]
        around = sorted(around, key=lambda node: (-int(whole.size[node]), node))
        trimmed += len(around) > most
        nodes = [root, *around[:most]]
        labels, edges = contents(found, root)
        assert labels == whole.label[nodes].tolist()
        assert edges == {
            (i, j) for i, j in itertools.permutations(range(len(nodes)), 2) if (nodes[i], nodes[j]) in contacts
        }
    assert (trimmed > 0) is (most == 2)


def test_taken_and_joined_each_graph_is_what_it_was():
    whole = of_map(noise(1))
    found = neighbourhoods.of_nodes(whole, np.arange(len(whole.label)))
    chosen = [3, 0, 3, 5]
    taken = found.take(torch.tensor(chosen))
    assert taken.root_labels.tolist() == found.root_labels[chosen].tolist()
    joined = set(map(tuple, taken.joined_edges().T.tolist()))
    expected = set()
    for place, k in enumerate(chosen):
        labels, edges = contents(found, k)
        assert contents(taken, place) == (labels, edges)
        expected |= {(int(taken.starts[place]) + i, int(taken.starts[place]) + j) for i, j in edges}
    assert joined == expected and taken.joined_edges().shape[1] == len(joined)
    assert len(found.take(torch.zeros(0, dtype=torch.int64)).labels) == 0


def test_only_roots_are_replaced():
    found = neighbourhoods.of_nodes(of_map(noise(2)), np.arange(4))
    replaced = found.with_roots(torch.tensor([9, 8, 7, 6]))
    assert replaced.root_labels.tolist() == [9, 8, 7, 6]
    others = torch.ones(len(found.labels), dtype=torch.bool)
    others[found.starts[:-1]] = False
    assert torch.equal(replaced.labels[others], found.labels[others]) and others.any()
    assert torch.equal(found.root_labels, neighbourhoods.of_nodes(of_map(noise(2)), np.arange(4)).root_labels)


def test_each_row_finds_the_component_that_it_comes_from():
    graph, sampled = graph_world.make()
    found = neighbourhoods.of_rows(graph, sampled, graph_world.SEEN)
    assert (found.rows >= 0).all() and len(found.rows) == len(sampled["label"])
    for row, (image, component) in enumerate(zip(sampled["image"], sampled["component"], strict=True)):
        (node,) = np.flatnonzero((graph.image == image) & (graph.component == component))
        labels, edges = contents(found.neighbourhoods, found.rows[row])
        assert labels == [graph.label[node], graph.label[node ^ 1]] and edges == {(0, 1), (1, 0)}


def test_rows_of_other_views_and_of_unknown_components_have_none():
    graph, sampled = graph_world.make()
    sampled["view"][::2] = 1
    sampled["component"][1] = 77
    found = neighbourhoods.of_rows(graph, sampled, graph_world.SEEN).rows
    assert (found[::2] == -1).all() and found[1] == -1 and (found[3::2] >= 0).all()


@pytest.mark.parametrize("hidden", [0, 5])
def test_images_that_show_a_hidden_class_are_left_out_whole(hidden):
    graph, sampled = graph_world.make()
    kept = [label for label in graph_world.SEEN if label != hidden]
    found = neighbourhoods.of_rows(graph, sampled, kept)
    own = np.isin(sampled["label"], kept)
    shows = np.isin(sampled["image"][own], graph.image[graph.label == hidden])
    assert shows.any() and not shows.all()
    assert ((found.rows.numpy() == -1) == shows).all()
    assert not (found.neighbourhoods.labels == hidden).any()


def test_a_cache_without_graphs_has_no_neighbourhoods():
    assert neighbourhoods.of_rows(None, graph_world.make()[1], graph_world.SEEN) is None


def test_places_of_classes_are_components_of_each_at_most_so_many():
    whole = of_map(noise(3, side=15))
    counts = np.bincount(whole.label, minlength=3)
    found = neighbourhoods.of_classes(whole, (2, 1), most=4, seed=0)
    assert counts[1:].min() > 4 and found.root_labels.tolist() == [2] * 4 + [1] * 4
    assert torch.equal(neighbourhoods.of_classes(whole, (2, 1), 4, 0).labels, found.labels)
    every = neighbourhoods.of_classes(whole, (0, 1, 2), 999, 0)
    assert torch.bincount(every.root_labels).tolist() == counts.tolist()
    assert len(neighbourhoods.of_classes(whole, (), 4, 0).root_labels) == 0


def test_concatenated_each_graph_is_what_it_was():
    one, other = (neighbourhoods.of_nodes(of_map(noise(seed)), np.arange(5)) for seed in (4, 5))
    both = neighbourhoods.concatenate(one, other)
    for k in range(5):
        assert contents(both, k) == contents(one, k) and contents(both, 5 + k) == contents(other, k)
