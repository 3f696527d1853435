"""Scenes: component graphs of whole masks, and the places of components in them, as the context of a class (paper section 2.2)."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import rows


@dataclasses.dataclass(frozen=True)
class Places:
    """Components, and the graphs of the masks that they are in. A graph is stored once, however many places are in it.

    Attributes:
        labels: (n,) int64, label ids of the nodes of all graphs; graph j has the nodes starts[j]:starts[j + 1].
        starts: (g + 1,) int64.
        edges: (2, e) int64, every contact in both directions, as indices into `labels`.
        edge_starts: (g + 1,) int64; graph j has the edges edge_starts[j]:edge_starts[j + 1].
        roots: (k,) int64, the component of each place, as an index into `labels`; may repeat.
    """

    labels: torch.Tensor
    starts: torch.Tensor
    edges: torch.Tensor
    edge_starts: torch.Tensor
    roots: torch.Tensor

    @property
    def root_labels(self) -> torch.Tensor:
        """The label id (k,) of the component of each place."""
        return self.labels[self.roots]

    @property
    def sizes(self) -> torch.Tensor:
        """The number of nodes (k,) int64 of the graph of each place."""
        return self.starts.diff()[self._graphs()]

    def take(self, chosen: torch.Tensor, copies: torch.Tensor | None = None) -> "Places":
        """Return the places with the indices `chosen` (m,), which may repeat, and their graphs only.

        Args:
            chosen: (m,) int64.
            copies: (m,) int64, not negative: places of one image share a graph if they have the same number here. None: all share it.
        """
        graphs = self._graphs()[chosen]
        copies = torch.zeros_like(chosen) if copies is None else copies
        most = int(copies.max()) + 1 if len(copies) else 1
        # The graphs of the result are the distinct pairs of a graph and a copy.
        pairs, owners = torch.unique(graphs * most + copies, return_inverse=True)
        sources = pairs // most
        nodes, starts = _gather(self.starts, sources)
        edges, edge_starts = _gather(self.edge_starts, sources)
        shifts = starts[:-1] - self.starts[sources]
        return Places(
            self.labels[nodes],
            starts,
            self.edges[:, edges] + shifts.repeat_interleave(edge_starts.diff()),
            edge_starts,
            self.roots[chosen] + shifts[owners],
        )

    def with_roots(self, labels: torch.Tensor) -> "Places":
        """Return the same places with `labels` (k,) as the labels of their components; no two places may share a component."""
        return dataclasses.replace(self, labels=self.labels.scatter(0, self.roots, labels))

    def _graphs(self) -> torch.Tensor:
        """Return the index (k,) of the graph of each place."""
        return torch.searchsorted(self.starts, self.roots, right=True) - 1


@dataclasses.dataclass(frozen=True)
class RowPlaces:
    """The place of each row of real features.

    Attributes:
        places: of the components that rows come from.
        rows: (m,) int64, the index of the place of each row of the pool; -1 for none.
        unseen: true places of unseen classes; None if they use those of other classes (`placing.near`).
    """

    places: Places
    rows: torch.Tensor
    unseen: Places | None = None


def of_nodes(graphs: shard_graphs.Graphs, nodes: np.ndarray) -> Places:
    """Return the places of `nodes` (k,), indices of nodes of the graphs, with the whole graphs of their images."""
    images = np.unique(graphs.image[nodes])
    used = np.isin(graphs.image, images)
    index_of = np.cumsum(used) - 1
    contacts = index_of[graphs.edges[used[graphs.edges[:, 0]]]].reshape(-1, 2)
    edges = np.concatenate([contacts, contacts[:, ::-1]])
    edges = edges[np.argsort(edges[:, 0], kind="stable")]
    starts = np.append(np.searchsorted(graphs.image[used], images), used.sum())
    return Places(
        labels=torch.from_numpy(graphs.label[used].astype(np.int64)),
        starts=torch.from_numpy(starts),
        edges=torch.from_numpy(edges.T.copy()),
        edge_starts=torch.from_numpy(np.searchsorted(edges[:, 0], starts)),
        roots=torch.from_numpy(index_of[nodes]),
    )


def of_classes(
    graphs: shard_graphs.Graphs, labels: Sequence[int], most: int, seed: int, images: np.ndarray | None = None
) -> Places:
    """Return the places of at most `most` components of each of `labels`.

    Args:
        graphs: component graphs of images.
        labels: label ids; the places are in their order.
        most: the largest number of components of one label.
        seed: of the choice of components.
        images: (n_images,) bool, the images to use; all if None.
    """
    rng = np.random.default_rng(seed)
    allowed = np.ones(len(graphs.image), bool) if images is None else images[graphs.image]
    chosen = [rng.permutation(np.flatnonzero((graphs.label == label) & allowed))[:most] for label in labels]
    return of_nodes(graphs, np.concatenate([*chosen, np.zeros(0, np.int64)]).astype(np.int64))


def concatenate(one: Places, other: Places) -> Places:
    """Return the places of `one`, then those of `other`."""
    first = len(one.labels)
    return Places(
        torch.cat([one.labels, other.labels]),
        torch.cat([one.starts, first + other.starts[1:]]),
        torch.cat([one.edges, first + other.edges], dim=1),
        torch.cat([one.edge_starts, one.edge_starts[-1] + other.edge_starts[1:]]),
        torch.cat([one.roots, first + other.roots]),
    )


def of_rows(graphs: shard_graphs.Graphs | None, sampled: rows.Rows, labels: Sequence[int]) -> RowPlaces | None:
    """Return the places of the rows that `pools.select(sampled, labels)` keeps, in its order.

    No place is taken from an image that shows a class outside `labels`, so nothing reveals where an unseen class is.
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
    distinct, place = np.unique(node[usable], return_inverse=True)
    place_of_row = np.full(len(node), -1)
    place_of_row[usable] = place
    return RowPlaces(of_nodes(graphs, distinct), torch.from_numpy(place_of_row))


def occurrences(values: torch.Tensor) -> torch.Tensor:
    """Return how often each of `values` (m,) int64 occurs before itself: (m,) int64, 0 for the first of its kind."""
    ordered, order = values.sort(stable=True)
    position = torch.arange(len(values))
    counts = torch.empty_like(values)
    counts[order] = position - torch.searchsorted(ordered, ordered)
    return counts


def _gather(starts: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices of the runs `chosen`, concatenated, and where each run starts among them."""
    counts = starts.diff()[chosen]
    first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    shift = (starts[chosen] - first[:-1]).repeat_interleave(counts)
    return torch.arange(len(shift)) + shift, first
