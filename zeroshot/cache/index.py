"""The index of a feature cache: its shards with their sizes and checksums, its classes and images, and its provenance."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from zeroshot.base import errors, hdf5, storage
from zeroshot.images import label_ids

NAME = "index.json"
# Version of the layout of a cache: 2 has label ids of 16 bits; older caches have 8 bits and no version in their index.
LAYOUT = 2


class ShardError(errors.UserError):
    """Raised when a cache is missing, truncated or altered; the message names the file and what to do."""


@dataclasses.dataclass(frozen=True)
class Index:
    """The content of `index.json` in a cache folder.

    Attributes:
        kind: `rows` (a sample of pixels) or `maps` (every pixel).
        dim: length of a feature.
        stride: pixels between neighbouring cells of a feature map.
        classes: class names in label order.
        images: image ids; a row stores the position of its image in this list.
        shards: for each shard its `file`, `rows`, `bytes` and `sha256`. Shards of rows also have `offsets` (length C + 1): the rows
            of class c are offsets[c]:offsets[c + 1].
        provenance: the parameters and inputs that made the features, as plain values.
        graphs: for labelled rows, the `file`, `nodes`, `edges`, `bytes` and `sha256` of their component graphs.
        presence: for labelled rows, the label ids that have a row in each image, ascending.
    """

    kind: str
    dim: int
    stride: int
    classes: list[str]
    images: list[str]
    shards: list[dict[str, Any]]
    provenance: dict[str, Any]
    graphs: dict[str, Any] | None = None
    presence: list[list[int]] | None = None


def write(folder: pathlib.Path, index: Index) -> None:
    """Write the index of `folder`. It is written last, so a folder with an index is complete."""
    storage.write_json(folder / NAME, {"layout": LAYOUT, **dataclasses.asdict(index)})


def read(folder: str | pathlib.Path, kind: str | None = None) -> Index:
    """Read the index of a cache and check the size of every shard.

    Args:
        folder: the cache, for example `features/train`.
        kind: the kind that the caller needs; any if None.

    Raises:
        ShardError: if there is no cache, if it is of another kind or layout, or if shards are missing or of another size (all are named).
    """
    folder = pathlib.Path(folder)
    try:
        values = dict(json.loads((folder / NAME).read_text()))
        layout = values.pop("layout", 1)
        index = Index(**values) if layout == LAYOUT else None
    except (OSError, ValueError, TypeError) as error:
        raise ShardError(f"{folder}: no readable {NAME} ({error}); make it with `dvc repro dump_features`") from error
    if index is None:
        raise ShardError(
            f"{folder}: was written in layout {layout} of the cache, and this version of the code reads layout {LAYOUT}; "
            "make it again with `dvc repro`"
        )
    if kind not in (None, index.kind):
        raise ShardError(f"{folder}: holds {index.kind}, but {kind} are needed; give the folder of a cache of {kind}")
    entries = [*index.shards, *([index.graphs] if index.graphs else [])]
    sizes = [(folder / entry["file"], entry["bytes"]) for entry in entries]
    faults = [
        f"{path}: {path.stat().st_size if path.exists() else 'missing'}, should be {size} bytes"
        for path, size in sizes
        if not path.exists() or path.stat().st_size != size
    ]
    if faults:
        raise ShardError("\n".join(["truncated or missing shards", *(f"  {line}" for line in faults), _remedy(folder)]))
    return index


def entry(path: pathlib.Path, kind: str, n_classes: int) -> dict[str, Any]:
    """Return the entry in `Index.shards` of a written shard of a cache of `kind`."""
    with hdf5.reading(path) as file:
        metadata = {"file": path.name, "rows": len(file["features"]), "bytes": path.stat().st_size}
        if kind == "rows":
            metadata["offsets"] = np.searchsorted(file["label"][:], np.arange(n_classes + 1)).tolist()
    return {**metadata, "sha256": storage.sha256(path)}


def presence(paths: Iterable[pathlib.Path], n_images: int) -> list[list[int]]:
    """Return `Index.presence` for written shards of rows of `n_images` images; rows without a label are ignored."""
    labels_of_image: list[set[int]] = [set() for _ in range(n_images)]
    for path in paths:
        with hdf5.reading(path) as file:
            for image, label in np.unique(np.column_stack([file["image"][:], file["label"][:]]), axis=0).tolist():
                if label != label_ids.IGNORE_INDEX:
                    labels_of_image[image].add(label)
    return [sorted(labels) for labels in labels_of_image]


def check_written(path: pathlib.Path, n_rows: int) -> None:
    """Reopen a shard under its temporary name and count its features.

    Raises:
        ShardError: if it cannot be opened or does not hold `n_rows` features.
    """
    try:
        with hdf5.reading(path) as file:
            n_features = len(file["features"])
    except (OSError, KeyError) as error:
        raise ShardError(f"{path}: cannot be read back after writing: {error}") from error
    if n_features != n_rows:
        raise ShardError(f"{path}: holds {n_features} features after {n_rows} were written")


def verify(folder: pathlib.Path, shard: dict[str, Any]) -> pathlib.Path:
    """Return the path of a shard, or of the graphs, after comparing its checksum with the index.

    Raises:
        ShardError: if the checksum differs.
    """
    path = folder / shard["file"]
    if storage.sha256(path) != shard["sha256"]:
        raise ShardError(f"{path}: altered since it was written (its SHA-256 differs)\n{_remedy(folder)}")
    return path


def _remedy(folder: pathlib.Path) -> str:
    return f"  restore it with `rm -r {folder}` and `dvc checkout {folder}`, or make it again with `dvc repro dump_features`"
