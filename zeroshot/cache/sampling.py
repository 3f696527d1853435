"""Which cells of a feature map are kept: a sample balanced per class and image (DESIGN.md, section 5)."""

import zlib

import numpy as np
import torch

from zeroshot.cache import rows
from zeroshot.images import component_graphs, grids


def label_cells(mask: np.ndarray, stride: int) -> np.ndarray:
    """Return the label of each feature cell, that of the pixel nearest to its centre.

    Args:
        mask: (H, W) uint8.
        stride: s, pixels between neighbouring cells.

    Returns:
        (ceil(H / s), ceil(W / s)) uint8, 255 where there is none.
    """
    return grids.downsample(torch.from_numpy(mask)[None], grids.map_size(mask.shape[0], mask.shape[1], stride))[
        0
    ].numpy()


def count_labelled(labels: np.ndarray, pixels_per_class: int) -> int:
    """Return how many rows `sample_labelled` gives for these cells (h, w)."""
    return int(np.minimum(np.bincount(labels.ravel(), minlength=256)[:255], pixels_per_class).sum())


def sample_labelled(labels: np.ndarray, pixels_per_class: int, seed: int, image_id: str, view: int) -> rows.Rows:
    """Draw at most `pixels_per_class` cells of every class of one image, without replacement.

    Args:
        labels: (h, w) uint8, 255 to leave out.
        pixels_per_class: the most cells of one class.
        seed: with `image_id` and `view` the only source of randomness, so that no other image has an influence.
        image_id: the image's name.
        view: number of the augmented pass.

    Returns:
        the columns `label`, `position`, `component`, `weight` of the drawn rows, by class and then in raster order.
    """
    rng = _generator(seed, image_id, view)
    components = component_graphs.components(labels)
    flat = labels.ravel()
    cells, weights = [], []
    for label in np.unique(flat[flat != rows.UNLABELLED]):
        candidates = np.flatnonzero(flat == label)
        drawn = np.sort(rng.choice(candidates, size=min(len(candidates), pixels_per_class), replace=False))
        cells.append(drawn)
        weights.append(np.full(len(drawn), len(candidates) / len(drawn)))
    return _columns(labels.shape, flat, components.ravel(), cells, weights)


def sample_unlabelled(size: tuple[int, int], pixels: int, seed: int, image_id: str) -> rows.Rows:
    """Draw at most `pixels` cells of a feature map of `size` (h, w) uniformly, without any label; columns as `sample_labelled`."""
    n_cells = size[0] * size[1]
    drawn = np.sort(_generator(seed, image_id, 0).choice(n_cells, size=min(n_cells, pixels), replace=False))
    none = np.full(n_cells, rows.UNLABELLED)
    return _columns(size, none, np.zeros(n_cells, np.int32), [drawn], [np.full(len(drawn), n_cells / len(drawn))])


def _generator(seed: int, image_id: str, view: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(image_id.encode()), view])


def _columns(
    size: tuple[int, int],
    labels: np.ndarray,
    components: np.ndarray,
    cells: list[np.ndarray],
    weights: list[np.ndarray],
) -> rows.Rows:
    drawn = np.concatenate(cells) if cells else np.zeros(0, np.int64)
    return {
        "label": labels[drawn].astype(np.uint8),
        "position": np.stack(np.unravel_index(drawn, size), axis=1).astype(np.uint16),
        "component": components[drawn].astype(np.int32),
        "weight": np.concatenate([*weights, np.zeros(0)]).astype(np.float32),
    }
