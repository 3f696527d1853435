"""Component graphs of whole masks, on the cells of their feature maps (paper section 2.2, graph context)."""

from collections.abc import Iterable

import numpy as np

from zeroshot.cache import graphs, sampling
from zeroshot.images import component_graphs


def of_masks(masks: Iterable[np.ndarray]) -> graphs.Graphs:
    """Return the component graphs of masks (H, W) uint8, in their order."""
    return graphs.join(component_graphs.of_labels(sampling.label_cells(mask)) for mask in masks)
