"""Turning masks of other formats into PNGs of this pipeline's label ids, once for all splits of a dataset."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pydantic

from zeroshot.base import errors, parallel, params
from zeroshot.datasets import layout, matlab, pascal_context
from zeroshot.images import image_files, label_ids


@params.section
class Params:
    """The `labels` section of params.yaml."""

    format: Literal["none", "sbd", "context_mat", "context_png"]
    folder: layout.Inside | None
    names: layout.Inside | None
    ids: Literal["0-59", "0-58"]
    order: Literal["listed", "alphabetical"]

    @pydantic.field_validator("folder", "names")
    @classmethod
    def _where_it_is_read(cls, path: str | None, info: pydantic.ValidationInfo) -> str | None:
        kind = info.data.get("format")
        is_read = kind == "context_mat" or info.field_name == "folder" and kind != "none"
        if kind is not None and is_read != (path is not None):
            raise ValueError(f"must be {'a path' if is_read else 'null'} where format is {kind}")
        return path


@dataclasses.dataclass(frozen=True)
class Converter:
    """How masks of one format become label ids.

    Attributes:
        suffix: of the files.
        read: returns the (H, W) ids that a file holds, of an unsigned type.
        table: (n,) label id for each of them; -1 for one that must not occur, as for all from n up.
    """

    suffix: str
    read: Callable[[pathlib.Path], np.ndarray]
    table: np.ndarray


def converter(root: pathlib.Path, settings: Params, found: errors.Faults) -> Converter:
    """Return the converter of a format other than `none`; what is wrong with its list of names goes to `found`."""
    if settings.format == "context_mat":
        return Converter(".mat", pascal_context.read_mat, pascal_context.table_459(root, str(settings.names), found))
    if settings.format == "context_png":
        return Converter(".png", image_files.read_mask, pascal_context.table_png(settings.ids, settings.order))
    return Converter(".mat", matlab.read_sbd_mask, np.arange(label_ids.IGNORE_INDEX + 1))


def sources(root: pathlib.Path, settings: Params, suffix: str, found: errors.Faults) -> list[pathlib.Path]:
    """Return the files to convert, sorted by name."""
    folder = root / str(settings.folder)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [path for path in paths if path.suffix == suffix and not path.name.startswith(".")]
    if not paths:
        found.add(f"labels.folder holds no <id>{suffix}", str(settings.folder))
    return paths


def convert(
    folder: pathlib.Path, paths: list[pathlib.Path], how: Converter, workers: int, found: errors.Faults
) -> Iterator[pathlib.Path]:
    """Write the mask of each of `paths` as `folder`/<id>.png in `workers` threads; yield the paths as they are done.

    A file that cannot be converted leaves no PNG; why it cannot goes to `found`.
    """

    def write(path: pathlib.Path) -> tuple[pathlib.Path, tuple[str, str] | None]:
        try:
            ids = how.read(path)
        except image_files.ImageError as error:
            return path, ("unusable mask", str(error))
        table = np.full(int(ids.max(initial=0)) + 1, -1)
        table[: len(how.table)] = how.table[: len(table)]
        labels = table[ids]
        if labels.min(initial=0) < 0:
            wrong = ", ".join(map(str, np.unique(ids[labels < 0])))
            return path, (f"label out of range ({_allowed(how.table)})", f"{path}: {wrong}")
        image_files.write_mask(folder / f"{path.stem}.png", labels.astype(np.uint8))
        return path, None

    for path, fault in parallel.in_order(write, paths, workers):
        if fault:
            found.add(*fault)
        yield path


def _allowed(table: np.ndarray) -> str:
    """Say which ids a table knows, as in `0 to 58, 255`."""
    ids = np.flatnonzero(table >= 0)
    runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
