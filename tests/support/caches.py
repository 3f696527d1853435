"""Random feature caches, written without a network, for tests of the code that reads caches."""

import hashlib
import pathlib
from typing import Any

import numpy as np

from zeroshot.cache import index, maps, rows

CLASSES = ["background", "cow", "dog"]


def table(labels: list[int] | np.ndarray, dim: int = 4, seed: int = 0) -> rows.Rows:
    """Return rows with these labels, in this order, and random values in the other columns; weights are between 1 and 5."""
    rng = np.random.default_rng(seed)
    n = len(labels)
    return {
        "features": np.maximum(rng.normal(size=(n, dim)), 0).astype(np.float16),
        "label": np.array(labels, np.uint16),
        "image": rng.integers(0, 3, n, dtype=np.int32),
        "view": rng.integers(0, 2, n, dtype=np.uint8),
        "position": rng.integers(0, 9, (n, 2), dtype=np.uint16),
        "component": rng.integers(0, 5, n, dtype=np.int32),
        "weight": rng.uniform(1, 5, n).astype(np.float32),
    }


def entry(path: pathlib.Path, **keys: Any) -> dict[str, Any]:
    """Return the index entry of a shard, with `keys` added."""
    content = path.read_bytes()
    return {"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **keys}


def write_rows(folder: pathlib.Path, tables: list[rows.Rows], dim: int = 4) -> pathlib.Path:
    """Write a cache of rows, one shard for each table, and return its folder."""
    entries = []
    for number, columns in enumerate(tables):
        path = folder / f"shard-{number:05d}.h5"
        rows.write(path, columns)
        offsets = [int((columns["label"] < label).sum()) for label in range(len(CLASSES) + 1)]
        entries.append(entry(path, rows=len(columns["label"]), offsets=offsets))
    n_images = max([3, *(int(columns["image"].max(initial=0)) + 1 for columns in tables)])
    images = ["a", "b", "c", *map(str, range(3, n_images))]
    has_labels = any((columns["label"] != rows.UNLABELLED).any() for columns in tables)
    presence = index.presence([folder / shard["file"] for shard in entries], len(images)) if has_labels else None
    index.write(
        folder, index.Index("rows", dim, 4, CLASSES, images, entries, {"made": "for a test"}, presence=presence)
    )
    return folder


def write_maps(
    folder: pathlib.Path, shards: list[list[tuple[str, np.ndarray, np.ndarray]]], dim: int = 4
) -> pathlib.Path:
    """Write a cache of maps, one shard for each list of (image, features, mask), and return its folder."""
    names = sorted({image for shard in shards for image, _, _ in shard})
    entries = []
    for number, shard in enumerate(shards):
        path = folder / f"shard-{number:05d}.h5"
        images, features, masks = zip(*shard, strict=True)
        maps.write(path, [names.index(image) for image in images], list(features), list(masks))
        entries.append(entry(path, rows=sum(cells.shape[0] * cells.shape[1] for cells in features)))
    index.write(folder, index.Index("maps", dim, 4, CLASSES, names, entries, {"made": "for a test"}))
    return folder


def scene(image: str, h: int, w: int, dim: int = 4, seed: int = 0) -> tuple[str, np.ndarray, np.ndarray]:
    """Return (image, features, mask) of a map of h x w cells; the mask has 4 h - 1 by 4 w - 1 pixels."""
    rng = np.random.default_rng(seed)
    features = rng.random((h, w, dim)).astype(np.float16)
    return image, features, rng.integers(0, 3, (4 * h - 1, 4 * w - 1), dtype=np.uint16)
