"""Training pixels that play unlabelled ones in zero-shot cross-validation: without labels, and as even over an image."""

import pathlib

import numpy as np

from zeroshot.cache import rows


def read(folder: str | pathlib.Path, chosen: np.ndarray) -> rows.Rows:
    """Return rows of the images that are `chosen`, (n_images,) bool, as an unlabelled cache would have them: no label, no component.

    A labelled cache is balanced over classes, an unlabelled one even over the image. So as many rows as an image has are taken at even
    steps through its cells: one that stands for many cells comes several times, one that stands for few perhaps not at all. Cells
    without a label (contours) are in no labelled cache and so not here, which makes rehearsed pseudo-labels somewhat better than real ones.
    Peak memory is that of the answer and one shard.

    Raises:
        index.ShardError: as `rows.sample`.
    """
    parts = []
    for table in rows.read(folder):
        own = np.flatnonzero(chosen[table["image"]])
        drawn, weights = _evenly(table["image"][own], table["view"][own], table["weight"][own])
        parts.append({name: column[own[drawn]] for name, column in table.items()})
        parts[-1]["weight"] = weights
        parts[-1]["label"][:] = rows.UNLABELLED
        parts[-1]["component"][:] = 0
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _evenly(image: np.ndarray, view: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw from each view of an image as many rows as it has, systematically and in proportion to `weight`.

    Args:
        image: (n,) of each row.
        view: (n,).
        weight: (n,) float32, how many cells each row stands for.

    Returns:
        the rows drawn (n,), sorted by image and view, and for how many cells each stands now (n,) float32: all of one view for as many.
    """
    order = np.lexsort([view, image])
    passes = np.column_stack([image, view])[order]
    starts = np.flatnonzero(np.diff(passes, axis=0, prepend=-1).any(axis=1))
    drawn, cells = [order[:0]], [np.zeros(0, np.float32)]
    for own in np.split(order, starts[1:]) if len(order) else []:
        ends = np.cumsum(weight[own], dtype=np.float64)
        step = ends[-1] / len(own)
        drawn.append(own[np.searchsorted(ends, step * (np.arange(len(own)) + 0.5)).clip(max=len(own) - 1)])
        cells.append(np.full(len(own), step, np.float32))
    return np.concatenate(drawn), np.concatenate(cells)
