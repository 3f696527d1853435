"""Neighbourhoods: a component and its neighbours, from the component graphs of images, as the context of a class (paper section 2.2)."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import rows

# Of a component with more neighbours, such as a background, the largest ones are used.
MOST_NEIGHBOURS = 12


@dataclasses.dataclass(frozen=True)
class Neighbourhoods:
    """Small graphs, concatenated: each is a component (the root), its neighbours, and the contacts among all of them.

    Attributes:
        labels: (n,) int64, label ids of the nodes; graph k has the nodes starts[k]:starts[k + 1], the first of which is its root.
        starts: (k + 1,) int64.
        edges: (2, e) int64, every contact in both directions, as indices of nodes within the graph; the root is 0.
        edge_starts: (k + 1,) int64; graph k has the edges edge_starts[k]:edge_starts[k + 1].
    """

    labels: torch.Tensor
    starts: torch.Tensor
    edges: torch.Tensor
    edge_starts: torch.Tensor

    @property
    def root_labels(self) -> torch.Tensor:
        """The label id (k,) of each root."""
        return self.labels[self.starts[:-1]]

    def take(self, chosen: torch.Tensor) -> "Neighbourhoods":
        """Return the graphs with the indices `chosen` (m,), which may repeat."""
        nodes, starts = _gather(self.starts, chosen)
        edges, edge_starts = _gather(self.edge_starts, chosen)
        return Neighbourhoods(self.labels[nodes], starts, self.edges[:, edges], edge_starts)

    def with_roots(self, labels: torch.Tensor) -> "Neighbourhoods":
        """Return the same graphs with `labels` (k,) as the labels of their roots."""
        replaced = self.labels.clone()
        replaced[self.starts[:-1]] = labels
        return dataclasses.replace(self, labels=replaced)

    def joined_edges(self) -> torch.Tensor:
        """Return all edges (2, e) as indices into `labels`: one graph of disconnected parts."""
        return self.edges + self.starts[:-1].repeat_interleave(self.edge_starts.diff())


@dataclasses.dataclass(frozen=True)
class RowNeighbourhoods:
    """The neighbourhood of each row of real features.

    Attributes:
        neighbourhoods: of the components that rows come from.
        rows: (m,) int64, the index of the neighbourhood of each row of the pool; -1 for none.
        unseen: true neighbourhoods of unseen classes; None if they use those of other classes (`placing.near`).
    """

    neighbourhoods: Neighbourhoods
    rows: torch.Tensor
    unseen: Neighbourhoods | None = None


def of_nodes(graphs: shard_graphs.Graphs, nodes: np.ndarray) -> Neighbourhoods:
    """Return the neighbourhoods of `nodes` (k,), indices of nodes of the graphs."""
    touching: list[list[int]] = [[] for _ in graphs.label]
    for one, other in graphs.edges.tolist():
        touching[one].append(other)
        touching[other].append(one)
    labels, starts, edges, edge_starts = [], [0], [], [0]
    for root in nodes.tolist():
        nodes_of_graph = [root, *sorted(touching[root], key=lambda node: (-graphs.size[node], node))[:MOST_NEIGHBOURS]]
        index_of = {node: number for number, node in enumerate(nodes_of_graph)}
        labels += nodes_of_graph
        edges += [
            (index_of[node], index_of[other])
            for node in nodes_of_graph
            for other in touching[node]
            if other in index_of
        ]
        starts.append(len(labels))
        edge_starts.append(len(edges))
    return Neighbourhoods(
        labels=torch.from_numpy(graphs.label.astype(np.int64)[np.array(labels, np.int64)]),
        starts=torch.tensor(starts),
        edges=torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T.contiguous(),
        edge_starts=torch.tensor(edge_starts),
    )


def of_classes(
    graphs: shard_graphs.Graphs, labels: Sequence[int], most: int, seed: int, images: np.ndarray | None = None
) -> Neighbourhoods:
    """Return the neighbourhoods of at most `most` components of each of `labels`.

    Args:
        graphs: component graphs of images.
        labels: label ids; the neighbourhoods are in their order.
        most: the largest number of components of one label.
        seed: of the choice of components.
        images: (n_images,) bool, the images to use; all if None.
    """
    rng = np.random.default_rng(seed)
    allowed = np.ones(len(graphs.image), bool) if images is None else images[graphs.image]
    chosen = [rng.permutation(np.flatnonzero((graphs.label == label) & allowed))[:most] for label in labels]
    return of_nodes(graphs, np.concatenate([*chosen, np.zeros(0, np.int64)]).astype(np.int64))


def concatenate(one: Neighbourhoods, other: Neighbourhoods) -> Neighbourhoods:
    """Return the graphs of `one`, then those of `other`."""
    return Neighbourhoods(
        torch.cat([one.labels, other.labels]),
        torch.cat([one.starts, one.starts[-1] + other.starts[1:]]),
        torch.cat([one.edges, other.edges], dim=1),
        torch.cat([one.edge_starts, one.edge_starts[-1] + other.edge_starts[1:]]),
    )


def of_rows(graphs: shard_graphs.Graphs | None, sampled: rows.Rows, labels: Sequence[int]) -> RowNeighbourhoods | None:
    """Return the neighbourhoods of the rows that `pools.select(sampled, labels)` keeps, in its order.

    No neighbourhood is taken from an image that shows a class outside `labels`, so nothing reveals where an unseen class is.
    Augmented views have no graph.

    Args:
        graphs: component graphs of the cache that the rows come from. If they are None, so is the result.
        sampled: rows with `label`, `image`, `view` and `component`.
        labels: label ids, as in `pools.select`.
    """
    if graphs is None:
        return None
    in_labels = np.isin(sampled["label"], list(labels))
    image, component, view = (sampled[name][in_labels].astype(np.int64) for name in ("image", "component", "view"))
    allowed = ~np.isin(graphs.image, graphs.image[~np.isin(graphs.label, list(labels))])
    key_of_node = graphs.image.astype(np.int64) << 32 | graphs.component
    key_of_row = image << 32 | component
    node = np.searchsorted(key_of_node, key_of_row).clip(max=max(len(key_of_node) - 1, 0))
    usable = (key_of_node[node] == key_of_row) & (view == 0) & allowed[node]
    distinct, graph = np.unique(node[usable], return_inverse=True)
    graph_of_row = np.full(len(node), -1)
    graph_of_row[usable] = graph
    return RowNeighbourhoods(of_nodes(graphs, distinct), torch.from_numpy(graph_of_row))


def _gather(starts: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices of the runs `chosen`, concatenated, and where each run starts among them."""
    counts = starts.diff()[chosen]
    first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    shift = (starts[chosen] - first[:-1]).repeat_interleave(counts)
    return torch.arange(len(shift)) + shift, first
