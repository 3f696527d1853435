import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zeroshot.images import component_graphs

SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 8))
LABEL_MAPS = arrays.arrays(np.uint16, SHAPES, elements=st.sampled_from([0, 1, 255, 300]))
WITH_VOID = arrays.arrays(np.uint16, SHAPES, elements=st.sampled_from([0, 1, 255, 65535, 65535]))


def touching(numbered, reach=1):
    """Return the pairs of components with cells at most `reach` rows and columns apart, by a double loop over cells."""
    cells = [(cell, number) for cell, number in np.ndenumerate(numbered) if number]
    return {
        (min(a, b), max(a, b))
        for ((y, x), a), ((v, u), b) in itertools.combinations(cells, 2)
        if a != b and abs(y - v) <= reach and abs(x - u) <= reach
    }


def contacts(graph):
    return {tuple(pair) for pair in graph.components[graph.edges].tolist()}


@settings(max_examples=60, deadline=None)
@given(labels=LABEL_MAPS)
def test_edges_equal_those_of_a_double_loop_over_cells(labels):
    graph = component_graphs.of_labels(labels)
    assert contacts(graph) == touching(component_graphs.components(labels))
    assert graph.edges.tolist() == sorted(graph.edges.tolist()) and (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert (graph.labels[graph.edges[:, 0]] != graph.labels[graph.edges[:, 1]]).all()


@settings(max_examples=60, deadline=None)
@given(labels=WITH_VOID)
def test_nodes_are_the_components_of_labels_and_void_has_no_node(labels):
    graph = component_graphs.of_labels(labels)
    numbered = component_graphs.components(labels)
    assert ((numbered == 0) == (labels == 65535)).all()
    assert graph.components.tolist() == sorted(set(numbered[numbered > 0].tolist()))
    for number, label in zip(graph.components, graph.labels, strict=True):
        assert set(labels[numbered == number].tolist()) == {label}
    # An unlabelled cell joins a component only if it is its neighbour, so two joined components are at most 3 cells apart.
    assert touching(numbered) <= contacts(graph) <= touching(numbered, reach=3)


def test_components_touch_across_a_void_contour_of_at_most_two_cells():
    for width, joined in ((0, True), (1, True), (2, True), (3, False)):
        row = np.array([4, 4, *[65535] * width, 7, 7], np.uint16)
        graph = component_graphs.of_labels(np.stack([row] * 3))
        assert graph.labels.tolist() == [4, 7]
        assert graph.edges.tolist() == ([[0, 1]] if joined else [])


def test_components_of_one_label_across_a_void_contour_are_two_nodes():
    graph = component_graphs.of_labels(np.array([[3, 65535, 3]], np.uint16))
    assert graph.labels.tolist() == [3, 3] and graph.edges.tolist() == [[0, 1]]


def test_map_without_labels_has_an_empty_graph():
    graph = component_graphs.of_labels(np.full((3, 4), 65535, np.uint16))
    assert len(graph.labels) == len(graph.components) == 0 and graph.edges.shape == (0, 2)
