"""The adjacency graph of a label map: its connected components and which of them touch (paper section 2.2, graph context)."""

import dataclasses

import cc3d
import numpy as np

# A cell without a label beside a labelled one goes, for contacts only, to its component: the void contour of VOC's masks is one or
# two cells wide and would otherwise part every object from what lies around it. Nodes and their sizes know nothing of it.
_REACH = 1.5


@dataclasses.dataclass(frozen=True)
class ComponentGraph:
    """One label map as a graph.

    Attributes:
        components: (n,) int32, the ids of the components as `components` numbers them, ascending.
        labels: (n,) uint8, the label of each.
        sizes: (n,) int32, how many cells each has.
        edges: (e, 2) int32, pairs i < j of rows of the above whose components touch, sorted.
    """

    components: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    edges: np.ndarray


def components(labels: np.ndarray) -> np.ndarray:
    """Number the 8-connected components of equal labels.

    Args:
        labels: (h, w) uint8, 255 for none.

    Returns:
        (h, w) integers, 0 where there is no label, else from 1 in raster order of the components' first cells.
    """
    # cc3d takes 0 for "no object"; labels start at 0 and 255 + 1 wraps to it.
    return cc3d.connected_components(labels + np.uint8(1), connectivity=8)


def of_labels(labels: np.ndarray) -> ComponentGraph:
    """Return the graph of a label map (h, w) uint8: a node for each component, an edge where two touch, over corners too."""
    numbered = components(labels)
    ids, first, sizes = np.unique(numbered, return_index=True, return_counts=True)
    known = ids > 0
    ids = ids[known]
    contacts = np.array(sorted(cc3d.region_graph(_without_gaps(numbered), connectivity=8)), np.int64).reshape(-1, 2)
    return ComponentGraph(
        components=ids.astype(np.int32),
        labels=labels.ravel()[first[known]],
        sizes=sizes[known].astype(np.int32),
        edges=np.searchsorted(ids, contacts).astype(np.int32),
    )


def _without_gaps(numbered: np.ndarray) -> np.ndarray:
    """Return component numbers in which cells without one, but beside one, have that of the nearest."""
    # Takes half a second to load: only where a map has gaps.
    from scipy import ndimage

    void = numbered == 0
    if not void.any() or void.all():
        return numbered
    distance, nearest = ndimage.distance_transform_edt(void, return_indices=True)
    return np.where(distance <= _REACH, numbered[tuple(nearest)], 0).astype(numbered.dtype)
