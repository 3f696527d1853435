import dataclasses

import numpy as np
import pytest

from tests.support import caches
from zeroshot.cache import describe, graphs, index
from zeroshot.images import component_graphs

MASKS = [
    np.array([[0, 0, 1], [0, 2, 1]], np.uint16),
    np.full((2, 2), 65535, np.uint16),
    np.array([[1, 1], [0, 2], [2, 0]], np.uint16),
]


def write(folder):
    """Write a cache of rows with the graphs of `MASKS`."""
    caches.write_rows(folder, [caches.table([0, 1, 2])])
    graphs.write(folder / graphs.NAME, graphs.join(map(component_graphs.of_labels, MASKS)))
    with_graphs = dataclasses.replace(index.read(folder), graphs=graphs.describe(folder / graphs.NAME))
    index.write(folder, with_graphs)
    return folder


def test_read_returns_the_graphs_of_each_image(tmp_path):
    cached = graphs.read(write(tmp_path))
    assert set(cached.image.tolist()) == {0, 2}
    assert all(column.dtype == graphs.COLUMNS[name] for name, column in vars(cached).items() if name in graphs.COLUMNS)
    for image, mask in enumerate(MASKS):
        expected = component_graphs.of_labels(mask)
        nodes = np.flatnonzero(cached.image == image)
        assert cached.component[nodes].tolist() == expected.components.tolist()
        assert cached.label[nodes].tolist() == expected.labels.tolist()
        edges = cached.edges[np.isin(cached.edges, nodes).all(axis=1)]
        assert edges.tolist() == (expected.edges + nodes.min(initial=len(cached.label))).tolist()


def test_equal_graphs_give_equal_bytes_and_the_report_counts_nodes_and_edges(tmp_path):
    one, two = (write(tmp_path / name) for name in ("one", "two"))
    assert (one / graphs.NAME).read_bytes() == (two / graphs.NAME).read_bytes()
    n_nodes, n_edges = (
        sum(len(getattr(component_graphs.of_labels(mask), key)) for mask in MASKS) for key in ("labels", "edges")
    )
    assert f"component graphs: {n_nodes} components, {n_edges} contacts" in describe.describe(one)


def test_read_returns_none_for_a_cache_without_graphs(tmp_path):
    assert graphs.read(caches.write_rows(tmp_path, [caches.table([0])])) is None


def test_altered_truncated_and_missing_graphs_are_refused(tmp_path):
    path = write(tmp_path) / graphs.NAME
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    for read in (graphs.read, describe.describe):
        with pytest.raises(index.ShardError, match=r"graphs\.h5: altered since it was written"):
            read(tmp_path)
    path.write_bytes(bytes(content[:-1]))
    with pytest.raises(index.ShardError, match=r"graphs\.h5: \d+, should be \d+ bytes"):
        graphs.read(tmp_path)
    path.unlink()
    with pytest.raises(index.ShardError, match=r"graphs\.h5: missing"):
        graphs.read(tmp_path)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_graphs_of_masks_match_those_of_their_cells(stride):
    masks = [np.kron(mask, np.ones((stride, stride), np.uint16)) for mask in MASKS]
    from_masks, expected = graphs.of_masks(masks, stride), graphs.join(map(component_graphs.of_labels, MASKS))
    for name, column in vars(expected).items():
        np.testing.assert_array_equal(getattr(from_masks, name), column)
