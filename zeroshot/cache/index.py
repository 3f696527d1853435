"""The index of a feature cache: its shards with their sizes and checksums, its classes and images, and its provenance."""

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Annotated, Any, cast

import numpy as np
import pydantic
import typing_extensions

from zeroshot.base import checksums, errors, hdf5, storage, user_files
from zeroshot.cache import stored_features
from zeroshot.images import label_ids

NAME = "index.json"
# Version of the layout of a cache: 2 has label ids of 16 bits; older caches have 8 bits and no version in their index.
LAYOUT = 2
# What makes the cache of each pipeline again.
_DUMP = (
    "`dvc repro dump_features`, that of SZN with `dvc repro szn/dvc.yaml:dump`, "
    "that of ZSI with `dvc repro zsi/dvc.yaml:dump_regions`"
)


class ShardError(errors.UserError):
    """Raised when a cache is missing, truncated or altered; the message names the file and what to do."""


_Number = Annotated[int, pydantic.Field(ge=0)]
# A file of the cache is in its folder, never elsewhere.
_FileName = Annotated[str, pydantic.Field(pattern=r"^\w[\w.-]*$")]


class Shard(typing_extensions.TypedDict):
    """The entry of a shard in `Index.shards`; only shards of rows have `offsets`."""

    file: _FileName
    rows: _Number
    bytes: _Number
    sha256: str
    offsets: typing_extensions.NotRequired[list[_Number]]


class GraphsFile(typing_extensions.TypedDict):
    """The entry of the file of component graphs in `Index.graphs`."""

    file: _FileName
    nodes: _Number
    edges: _Number
    bytes: _Number
    sha256: str


@dataclasses.dataclass(frozen=True)
class Index:
    """The content of `index.json` in a cache folder.

    Attributes:
        kind: `rows` (a sample of pixels or regions), `maps` (every pixel) or `regions` (all regions of an image, `zsi.regions`).
        dim: length of a feature.
        stride: pixels between neighbouring cells of a feature map.
        classes: class names in label order.
        images: image ids; a row stores the position of its image in this list.
        shards: for each shard its `file`, `rows`, `bytes` and `sha256`. Shards of rows also have `offsets` (length C + 1): the rows
            of class c are offsets[c]:offsets[c + 1].
        provenance: the parameters and inputs that made the features, as plain values.
        graphs: for labelled rows, the `file`, `nodes`, `edges`, `bytes` and `sha256` of their component graphs.
        presence: for labelled rows, the label ids that have a row in each image, ascending.
        margin: pixels that a feature map covers on each side of its image, as in `networks/segmentation_network.py`. Masks have it too.
    """

    kind: Annotated[str, pydantic.Field(pattern="^(rows|maps|regions)$")]
    dim: int
    stride: int
    classes: list[str]
    images: list[str]
    shards: list[Shard]
    provenance: dict[str, Any]
    graphs: GraphsFile | None = None
    presence: list[list[_Number]] | None = None
    margin: _Number = 0


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The version of the layout in `index.json`; 1 where there is none."""

    layout: int = 1


_INDEX = pydantic.TypeAdapter(Index)
_LAYOUT = pydantic.TypeAdapter(_Layout)


def write(folder: pathlib.Path, index: Index) -> None:
    """Write the index of `folder`. It is written last, so a folder with an index is complete."""
    content = dataclasses.asdict(index)
    if not index.margin:
        # A cache without a margin keeps the bytes that it had before there were margins.
        del content["margin"]
    storage.write_json(folder / NAME, {"layout": LAYOUT, **content})


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
        user_files.head(folder / NAME)
        content = (folder / NAME).read_bytes()
        layout = _LAYOUT.validate_json(content, strict=True).layout
        index = _INDEX.validate_json(content, strict=True) if layout == LAYOUT else None
        if index is not None:
            _check(index)
    except pydantic.ValidationError as error:
        raise _unreadable(folder, "; ".join(errors.describe(error))) from None
    except (OSError, ValueError) as error:
        raise _unreadable(folder, str(error)) from error
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


def _check(index: Index) -> None:
    """Raise a ValueError if the parts of an index do not fit each other."""
    n_classes, n_images = len(index.classes), len(index.images)
    for shard in index.shards:
        offsets = shard.get("offsets")
        if index.kind == "rows" and (
            offsets is None
            or len(offsets) != n_classes + 1
            or offsets != sorted(offsets)
            or offsets[-1] > shard["rows"]
        ):
            raise ValueError(f"{shard['file']}: needs {n_classes + 1} ascending offsets up to its {shard['rows']} rows")
    if index.presence is not None and (
        len(index.presence) != n_images or any(label >= n_classes for labels in index.presence for label in labels)
    ):
        raise ValueError(f"presence: needs label ids below {n_classes} for each of {n_images} images")


def _unreadable(folder: pathlib.Path, cause: str) -> ShardError:
    return ShardError(f"{folder}: no readable {NAME} ({cause}); make it with {_DUMP}")


def entry(path: pathlib.Path, kind: str, n_classes: int) -> Shard:
    """Return the entry in `Index.shards` of a written shard of a cache of `kind`."""
    with hdf5.reading(path) as file:
        metadata: dict[str, Any] = {
            "file": path.name,
            "rows": stored_features.n_rows(file),
            "bytes": path.stat().st_size,
        }
        if kind == "rows":
            metadata["offsets"] = np.searchsorted(file["label"][:], np.arange(n_classes + 1)).tolist()
    return cast(Shard, {**metadata, "sha256": storage.sha256(path)})


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
            n_features = stored_features.n_rows(file)
    except errors.UserError as error:
        raise ShardError(f"{path}: cannot be read back after writing: {error}") from error
    if n_features != n_rows:
        raise ShardError(f"{path}: holds {n_features} features after {n_rows} were written")


def verify(folder: pathlib.Path, shard: Shard | GraphsFile) -> pathlib.Path:
    """Return the path of a shard, or of the graphs, after comparing its checksum with the index; see `checksums` for when it is computed.

    Raises:
        ShardError: if the checksum differs.
        errors.UserError: if the file is missing.
    """
    path = folder / shard["file"]
    if checksums.sha256(path) != shard["sha256"]:
        raise ShardError(f"{path}: altered since it was written (its SHA-256 differs)\n{_remedy(folder)}")
    return path


def _remedy(folder: pathlib.Path) -> str:
    return f"  restore it with `rm -r {folder}` and `dvc checkout {folder}`, or make it again with {_DUMP}"
