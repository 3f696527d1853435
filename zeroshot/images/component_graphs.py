"""The adjacency graph of a label map: its connected components and which of them touch (paper section 2.2, graph context)."""

import dataclasses

import cc3d
import numpy as np

from zeroshot.images import label_ids

# Largest distance, in cells, at which an unlabelled cell joins the nearest component. It joins only for the edges: the void contour
# in VOC's masks is one or two cells wide and would otherwise separate every object from its surroundings. Nodes ignore it.
_REACH = 1.5


@dataclasses.dataclass(frozen=True)
class ComponentGraph:
    """The graph of one label map.

    Attributes:
        components: (n,) int32, ascending ids of the components, as returned by the function `components`.
        labels: (n,) uint16, label of each component.
        edges: (e, 2) int32, sorted pairs i < j of positions in the arrays above whose components touch.
    """

    components: np.ndarray
    labels: np.ndarray
    edges: np.ndarray


def components(labels: np.ndarray) -> np.ndarray:
    """Number the 8-connected components of equal labels.

    Args:
        labels: (h, w) uint16; `label_ids.IGNORE_INDEX` means no label.

    Returns:
        (h, w) integers: 0 where there is no label, otherwise from 1 in raster order of the components' first cells.
    """
    # cc3d treats 0 as "no object". Adding 1 makes label 0 an object, and 65535 + 1 overflows to 0.
    return cc3d.connected_components(labels + label_ids.DTYPE(1), connectivity=8)


def of_labels(labels: np.ndarray) -> ComponentGraph:
    """Return the graph of a label map (h, w) uint16: a node per component, an edge where two touch at a side or a corner."""
    numbered = components(labels)
    ids, first = np.unique(numbered, return_index=True)
    labelled = ids > 0
    ids = ids[labelled]
    contacts = np.array(sorted(cc3d.region_graph(_fill_gaps(numbered), connectivity=8)), np.int64).reshape(-1, 2)
    return ComponentGraph(
        components=ids.astype(np.int32),
        labels=labels.ravel()[first[labelled]],
        edges=np.searchsorted(ids, contacts).astype(np.int32),
    )


def _fill_gaps(numbered: np.ndarray) -> np.ndarray:
    """Return component numbers (h, w) in which unlabelled cells within `_REACH` have the number of the nearest component."""
    # scipy.ndimage takes half a second to import and is needed only for maps with unlabelled cells.
    from scipy import ndimage

    void = numbered == 0
    if not void.any() or void.all():
        return numbered
    distance, nearest = ndimage.distance_transform_edt(void, return_indices=True)
    return np.where(distance <= _REACH, numbered[tuple(nearest)], 0).astype(numbered.dtype)
