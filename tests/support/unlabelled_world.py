"""A cache of unlabelled rows with features of tests/support/pixel_world.py, and the withheld masks with their labels."""

import pathlib

import numpy as np

from tests.support import caches, pixel_world
from zeroshot.cache import index, rows, stored_features
from zeroshot.images import image_files

SIDE = 6
PER_IMAGE = 20


def write(
    folder: pathlib.Path,
    n_images: int = 12,
    labels: tuple[int, ...] = tuple(range(10)),
    storage: stored_features.Storage = "float16",
) -> rows.Rows:
    """Write features/unlabelled and data/masks/unlabelled below `folder`, two images per shard.

    An image has rows of the unscaled view, followed by rows of a second view with constant features.

    Returns:
        the rows of the unscaled view, with the true `label`.
    """
    cache = folder / "features/unlabelled"
    tables, entries = [], []
    for number in range(n_images):
        rng = np.random.default_rng(100 + number)
        cells = rng.choice(labels, (SIDE, SIDE)).astype(np.uint16)
        mask = np.kron(cells, np.ones((4, 4), np.uint16))[:-1, :-2]
        image_files.write_mask(folder / f"data/masks/unlabelled/image{number}.png", mask)
        chosen = rng.permutation(SIDE * SIDE)[:PER_IMAGE]
        y, x = np.unravel_index(chosen, (SIDE, SIDE))
        tables.append(_table(number, 0, y, x, cells[y, x], pixel_world.features(cells[y, x], number)))
        tables.append(_table(number, 1, y, x, cells[y, x], np.full((PER_IMAGE, pixel_world.DIM), 9, np.float16)))
    for shard in range(0, len(tables), 4):
        table = _joined(tables[shard : shard + 4])
        path = cache / f"shard-{len(entries):05d}.h5"
        rows.write(path, table | {"label": np.full(len(table["label"]), rows.UNLABELLED)}, storage)
        offsets = [0] * (len(pixel_world.CLASSES) + 1)
        entries.append(caches.entry(path, rows=len(table["label"]), offsets=offsets))
    names = [f"image{number}" for number in range(n_images)]
    provenance = {"made_by": "a test", "pretraining": "none"}
    cache.mkdir(parents=True, exist_ok=True)
    index.write(cache, index.Index("rows", pixel_world.DIM, 4, list(pixel_world.CLASSES), names, entries, provenance))
    return _joined(tables[::2]) if tables else {}


def _table(number: int, view: int, y: np.ndarray, x: np.ndarray, labels: np.ndarray, features: np.ndarray) -> rows.Rows:
    size = len(y)
    return {
        "features": features,
        "label": labels,
        "image": np.full(size, number, np.int32),
        "view": np.full(size, view, np.uint8),
        "position": np.stack([y, x], axis=1).astype(np.uint16),
        "component": np.zeros(size, np.int32),
        "weight": np.full(size, SIDE * SIDE / PER_IMAGE, np.float32),
    }


def _joined(tables: list[rows.Rows]) -> rows.Rows:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
