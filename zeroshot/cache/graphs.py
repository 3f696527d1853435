"""The component graphs of the images of a cache, stored in one file beside the shards of rows."""

import dataclasses
import pathlib
from collections.abc import Iterable

import numpy as np

from zeroshot.base import hdf5, storage
from zeroshot.cache import index as shard_index
from zeroshot.cache import sampling
from zeroshot.images import component_graphs, label_ids

NAME = "graphs.h5"
# Name of each column of nodes -> dtype.
COLUMNS = {"image": np.int32, "component": np.int32, "label": label_ids.DTYPE}


@dataclasses.dataclass(frozen=True)
class Graphs:
    """The component graphs of many images, concatenated; n nodes, e edges.

    Attributes:
        image: (n,) int32, number of each node's image in the index, ascending.
        component: (n,) int32, component id of each node, ascending within an image; rows of view 0 carry the same ids.
        label: (n,) uint16, label id of each node.
        edges: (e, 2) int32, pairs of nodes i < j of one image whose components touch.
    """

    image: np.ndarray
    component: np.ndarray
    label: np.ndarray
    edges: np.ndarray


def join(parts: Iterable[component_graphs.ComponentGraph]) -> Graphs:
    """Return the graphs of images 0, 1, ... concatenated."""
    columns: dict[str, list[np.ndarray]] = {name: [np.zeros(0, dtype)] for name, dtype in COLUMNS.items()}
    edges, first = [np.zeros((0, 2), np.int32)], 0
    for image, graph in enumerate(parts):
        of_image = (np.full(len(graph.labels), image), graph.components, graph.labels)
        for name, column in zip(columns, of_image, strict=True):
            columns[name].append(column)
        edges.append(graph.edges + first)
        first += len(graph.labels)
    joined = {name: np.concatenate(columns[name]).astype(dtype) for name, dtype in COLUMNS.items()}
    return Graphs(**joined, edges=np.concatenate(edges).astype(np.int32))


def of_masks(masks: Iterable[np.ndarray], stride: int) -> Graphs:
    """Return the component graphs of masks (H, W) uint16 on feature maps of this stride, in the order of the masks (paper section 2.2)."""
    return join(component_graphs.of_labels(sampling.label_cells(mask, stride)) for mask in masks)


def write(path: pathlib.Path, graphs: Graphs) -> None:
    """Write graphs to a file, which is replaced as a whole; equal graphs give equal bytes."""
    with storage.replacing(path) as temporary, hdf5.writing(temporary) as file:
        for name, column in vars(graphs).items():
            file.create_dataset(name, data=column, track_times=False)


def describe(path: pathlib.Path) -> shard_index.GraphsFile:
    """Return the index entry of a written file of graphs."""
    with hdf5.reading(path) as file:
        nodes, edges = len(file["label"]), len(file["edges"])
    n_bytes, sha256 = path.stat().st_size, storage.sha256(path)
    return {"file": path.name, "bytes": n_bytes, "nodes": nodes, "edges": edges, "sha256": sha256}


def read(folder: str | pathlib.Path) -> Graphs | None:
    """Read the graphs of a cache; return None if it was written without graphs.

    Raises:
        shard_index.ShardError: if the cache is missing, or its graphs are missing, truncated or altered.
    """
    folder = pathlib.Path(folder)
    index = shard_index.read(folder, "rows")
    if index.graphs is None:
        return None
    with hdf5.reading(shard_index.verify(folder, index.graphs)) as file:
        return Graphs(**{name: file[name][:] for name in (*COLUMNS, "edges")})
