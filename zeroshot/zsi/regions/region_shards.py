"""Writing the cache of regions: shards of a stated size, and the index last."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from zeroshot.base import errors, storage
from zeroshot.cache import index, rows
from zeroshot.zsi.regions import evaluation_regions

Part = TypeVar("Part")


@dataclasses.dataclass(frozen=True)
class Description:
    """What the index says of a cache of regions.

    Attributes:
        dim: length of a feature.
        classes: class names in label order.
        images: image ids.
        provenance: what made the features, as plain values.
        shard_bytes: largest size of a shard; a single larger image is a shard by itself.
    """

    dim: int
    classes: Sequence[str]
    images: Sequence[str]
    provenance: dict[str, Any]
    shard_bytes: int


def write_rows(folder: pathlib.Path, description: Description, tables: Iterable[rows.Rows]) -> None:
    """Write the regions of training images as rows; `tables` has those of each image, in the order of `description.images`.

    Raises:
        errors.UserError: if no region shows an object.
    """
    row_bytes = 2 * description.dim + rows.ROW_BYTES
    sized = ((len(table["label"]) * row_bytes, table) for table in tables)
    with storage.replacing_folder(folder) as unfinished:
        paths = []
        for part in _groups(sized, description.shard_bytes):
            paths.append(unfinished / f"shard-{len(paths):05d}.h5")
            rows.write(paths[-1], {name: np.concatenate([table[name] for table in part]) for name in part[0]})
        presence = index.presence(paths, len(description.images))
        if not any(max(labels, default=0) > 0 for labels in presence):
            raise errors.UserError("no training image has an object of a seen class, so there is nothing to learn from")
        _write_index(unfinished, description, "rows", paths, presence)


def write_evaluation(
    folder: pathlib.Path, description: Description, images: Iterable[evaluation_regions.EvaluationRegions]
) -> None:
    """Write the regions of evaluation images, in the order of `description.images`."""
    with storage.replacing_folder(folder) as unfinished:
        paths, first = [], 0
        for part in _groups(((one.bytes, one) for one in images), description.shard_bytes):
            paths.append(unfinished / f"shard-{len(paths):05d}.h5")
            evaluation_regions.write(paths[-1], range(first, first + len(part)), part)
            first += len(part)
        _write_index(unfinished, description, "regions", paths, None)


def _groups(sized: Iterable[tuple[int, Part]], limit: int) -> Iterator[list[Part]]:
    """Yield consecutive items in groups of at most `limit` bytes; a larger item is alone."""
    group: list[Part] = []
    total = 0
    for size, item in sized:
        if group and total + size > limit:
            yield group
            group, total = [], 0
        group.append(item)
        total += size
    if group:
        yield group


def _write_index(
    folder: pathlib.Path,
    description: Description,
    kind: str,
    paths: Sequence[pathlib.Path],
    presence: list[list[int]] | None,
) -> None:
    classes = list(description.classes)
    content = index.Index(
        kind=kind,
        dim=description.dim,
        # A region is no cell of a grid.
        stride=1,
        classes=classes,
        images=list(description.images),
        shards=[index.entry(path, kind, len(classes)) for path in paths],
        provenance=description.provenance,
        presence=presence,
    )
    index.write(folder, content)
