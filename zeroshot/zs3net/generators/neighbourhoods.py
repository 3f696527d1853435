"""Components with what touches them, cut out of component graphs: the context in which a class stands (paper section 2.2)."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import rows

# A component that touches more (a background does) keeps the largest of them.
MOST_NEIGHBOURS = 12


@dataclasses.dataclass(frozen=True)
class Neighbourhoods:
    """Small graphs, one after the other: a component (the root), those that touch it, and the contacts among all these.

    Attributes:
        labels: (n,) int64, label ids of the nodes; those of graph k are starts[k]:starts[k + 1], its root the first.
        starts: (k + 1,) int64.
        edges: (2, e) int64, both directions of every contact, as numbers of nodes within the graph; root 0.
        edge_starts: (k + 1,) int64; the edges of graph k are edge_starts[k]:edge_starts[k + 1].
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
        """Return the graphs numbered `chosen` (m,), which may repeat."""
        nodes, starts = _gather(self.starts, chosen)
        edges, edge_starts = _gather(self.edge_starts, chosen)
        return Neighbourhoods(self.labels[nodes], starts, self.edges[:, edges], edge_starts)

    def with_roots(self, labels: torch.Tensor) -> "Neighbourhoods":
        """Return the same graphs with the labels (k,) of their roots replaced."""
        replaced = self.labels.clone()
        replaced[self.starts[:-1]] = labels
        return dataclasses.replace(self, labels=replaced)

    def joined_edges(self) -> torch.Tensor:
        """Return all edges (2, e) as numbers into `labels`: one graph whose parts do not touch."""
        return self.edges + self.starts[:-1].repeat_interleave(self.edge_starts.diff())


@dataclasses.dataclass(frozen=True)
class OfRows:
    """The neighbourhoods that rows of real features come from.

    Attributes:
        neighbourhoods: of the components that rows come from.
        rows: (m,) int64, the neighbourhood of each row of the pool; -1 where it has none.
        unseen: true places of classes without rows; None where they must take those of other classes (`placing.near`).
    """

    neighbourhoods: Neighbourhoods
    rows: torch.Tensor
    unseen: Neighbourhoods | None = None


def of_nodes(graphs: shard_graphs.Graphs, nodes: np.ndarray) -> Neighbourhoods:
    """Cut out the neighbourhoods of `nodes` (k,) of the graphs."""
    touching: list[list[int]] = [[] for _ in graphs.label]
    for one, other in graphs.edges.tolist():
        touching[one].append(other)
        touching[other].append(one)
    labels, starts, edges, edge_starts = [], [0], [], [0]
    for root in nodes.tolist():
        own = [root, *sorted(touching[root], key=lambda node: (-graphs.size[node], node))[:MOST_NEIGHBOURS]]
        place = {node: number for number, node in enumerate(own)}
        labels += own
        edges += [(place[node], place[other]) for node in own for other in touching[node] if other in place]
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
    """Cut out the neighbourhoods of at most `most` components of each of `labels`.

    Args:
        graphs: where they are.
        labels: label ids; the neighbourhoods come in their order.
        most: components of one label.
        seed: of which ones.
        images: (n_images,) bool, the images to look at; all if None.
    """
    rng = np.random.default_rng(seed)
    allowed = np.ones(len(graphs.image), bool) if images is None else images[graphs.image]
    found = [rng.permutation(np.flatnonzero((graphs.label == label) & allowed))[:most] for label in labels]
    return of_nodes(graphs, np.concatenate([*found, np.zeros(0, np.int64)]).astype(np.int64))


def concatenate(one: Neighbourhoods, other: Neighbourhoods) -> Neighbourhoods:
    """Return the graphs of both."""
    return Neighbourhoods(
        torch.cat([one.labels, other.labels]),
        torch.cat([one.starts, one.starts[-1] + other.starts[1:]]),
        torch.cat([one.edges, other.edges], dim=1),
        torch.cat([one.edge_starts, one.edge_starts[-1] + other.edge_starts[1:]]),
    )


def of_rows(graphs: shard_graphs.Graphs | None, sampled: rows.Rows, labels: Sequence[int]) -> OfRows | None:
    """Find the neighbourhoods of the rows that `pools.select(sampled, labels)` keeps, in its order.

    An image that shows any other class is left out whole: where a class plays unseen, so do the places where it stands.
    Augmented views have no graph.

    Args:
        graphs: of the cache that the rows come from; None if it has none, and then the answer is None.
        sampled: rows with `label`, `image`, `view` and `component`.
        labels: as those of `pools.select`.
    """
    if graphs is None:
        return None
    keep = np.isin(sampled["label"], list(labels))
    image, component, view = (sampled[name][keep].astype(np.int64) for name in ("image", "component", "view"))
    allowed = ~np.isin(graphs.image, graphs.image[~np.isin(graphs.label, list(labels))])
    key_of_node = graphs.image.astype(np.int64) << 32 | graphs.component
    key_of_row = image << 32 | component
    node = np.searchsorted(key_of_node, key_of_row).clip(max=max(len(key_of_node) - 1, 0))
    usable = (key_of_node[node] == key_of_row) & (view == 0) & allowed[node]
    distinct, place = np.unique(node[usable], return_inverse=True)
    numbers = np.full(len(node), -1)
    numbers[usable] = place
    return OfRows(of_nodes(graphs, distinct), torch.from_numpy(numbers))


def _gather(starts: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices of the runs numbered `chosen`, one after the other, and where each then starts."""
    counts = starts.diff()[chosen]
    first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    shift = (starts[chosen] - first[:-1]).repeat_interleave(counts)
    return torch.arange(len(shift)) + shift, first
