"""Sampling cells of a feature map for the cache, balanced per class and image."""

import zlib

import numpy as np

from zeroshot.cache import rows
from zeroshot.images import component_graphs, grids, label_ids


def label_cells(mask: np.ndarray, stride: int) -> np.ndarray:
    """Return the label of each cell of a feature map: the label of the pixel at its centre (`grids.centres`).

    Args:
        mask: (H, W) uint16.
        stride: s, pixels between neighbouring cells.

    Returns:
        (ceil(H / s), ceil(W / s)) uint16, `label_ids.IGNORE_INDEX` for ignored pixels.
    """
    return grids.downsample(mask, stride)


def count_labelled(labels: np.ndarray, pixels_per_class: int, sampled: np.ndarray | None = None) -> dict[int, int]:
    """Return the number of rows of each label id that `sample_labelled` returns for `labels` (h, w), without those that have none."""
    present, counts = np.unique(labels[_sampled(labels, sampled)], return_counts=True)
    return dict(zip(present.tolist(), np.minimum(counts, pixels_per_class).tolist(), strict=True))


def sample_labelled(
    labels: np.ndarray,
    pixels_per_class: int,
    seed: int,
    image_id: str,
    view: int,
    sampled: np.ndarray | None = None,
) -> rows.Rows:
    """Sample at most `pixels_per_class` cells of every class of one image, without replacement.

    Args:
        labels: (h, w) uint16; `rows.UNLABELLED` for ignored pixels.
        pixels_per_class: largest number of cells of one class.
        seed: seeds the sample, together with `image_id` and `view`, so that other images have no influence.
        image_id: id of the image.
        view: number of the augmented pass.
        sampled: (h, w) bool, the cells to choose from, where ignored pixels are as if they were one more class. None: those with a label.

    Returns:
        the columns `label`, `position`, `component`, `weight` of the sampled rows, sorted by class and then in raster order.
    """
    rng = _generator(seed, image_id, view)
    components = component_graphs.components(labels)
    flat, chosen_from = labels.ravel(), _sampled(labels, sampled).ravel()
    cells, weights = [], []
    for label in np.unique(flat[chosen_from]):
        candidates = np.flatnonzero((flat == label) & chosen_from)
        chosen = np.sort(rng.choice(candidates, size=min(len(candidates), pixels_per_class), replace=False))
        cells.append(chosen)
        weights.append(np.full(len(chosen), len(candidates) / len(chosen)))
    return _columns(labels.shape, flat, components.ravel(), cells, weights)


def sample_unlabelled(size: tuple[int, int], pixels: int, seed: int, image_id: str) -> rows.Rows:
    """Sample at most `pixels` cells of a feature map of `size` (h, w) uniformly; return the columns of `sample_labelled`, unlabelled."""
    n_cells = size[0] * size[1]
    chosen = np.sort(_generator(seed, image_id, 0).choice(n_cells, size=min(n_cells, pixels), replace=False))
    labels = np.full(n_cells, rows.UNLABELLED)
    return _columns(size, labels, np.zeros(n_cells, np.int32), [chosen], [np.full(len(chosen), n_cells / len(chosen))])


def _sampled(labels: np.ndarray, sampled: np.ndarray | None) -> np.ndarray:
    return labels != rows.UNLABELLED if sampled is None else sampled


def _generator(seed: int, image_id: str, view: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(image_id.encode()), view])


def _columns(
    size: tuple[int, int],
    labels: np.ndarray,
    components: np.ndarray,
    cells: list[np.ndarray],
    weights: list[np.ndarray],
) -> rows.Rows:
    chosen = np.concatenate(cells) if cells else np.zeros(0, np.int64)
    return {
        "label": labels[chosen].astype(label_ids.DTYPE),
        "position": np.stack(np.unravel_index(chosen, size), axis=1).astype(np.uint16),
        "component": components[chosen].astype(np.int32),
        "weight": np.concatenate([*weights, np.zeros(0)]).astype(np.float32),
    }
