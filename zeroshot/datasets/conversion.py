"""Conversion of masks of other formats to PNGs of this pipeline's label ids, once for all splits of a dataset."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pydantic

from zeroshot.base import errors, parallel, params
from zeroshot.datasets import layout, matlab, palettes, pascal_context
from zeroshot.images import image_files, label_ids


@params.section
class Params:
    """The `labels` section of params.yaml."""

    format: Literal["none", "sbd", "context_mat", "context_png"]
    folder: layout.Inside | None
    names: layout.Inside | None
    ids: Literal["0-59", "0-58", "0-33"]
    order: Literal["listed", "alphabetical"]
    reduce: Literal["context_33"] | None

    @pydantic.field_validator("folder", "names")
    @classmethod
    def _given_if_read(cls, path: str | None, info: pydantic.ValidationInfo) -> str | None:
        kind = info.data.get("format")
        is_read = kind == "context_mat" or info.field_name == "folder" and kind != "none"
        if kind is not None and is_read != (path is not None):
            raise ValueError(f"must be {'a path' if is_read else 'null'} where format is {kind}")
        return path

    @pydantic.field_validator("reduce")
    @classmethod
    def _null_if_nothing_to_reduce(cls, reduce: str | None, info: pydantic.ValidationInfo) -> str | None:
        kind, ids = info.data.get("format", "context_mat"), info.data.get("ids")
        if reduce and kind not in ("context_mat", "context_png"):
            raise ValueError(f"must be null where format is {kind}; the 33 classes are some of Pascal-Context's")
        if reduce and kind == "context_png" and ids == "0-33":
            raise ValueError("must be null where ids is 0-33, since such masks have the 33 classes already")
        return reduce


@dataclasses.dataclass(frozen=True)
class Converter:
    """Reader and label table of one mask format.

    Attributes:
        suffix: suffix of the mask files.
        read: returns the (H, W) source ids in a file, of an unsigned type, and its palette or None.
        table: (n,) label id of each source id from 0; -1 for a source id that is not allowed. No id from n on is allowed.
    """

    suffix: str
    read: Callable[[pathlib.Path], tuple[np.ndarray, palettes.Palette | None]]
    table: np.ndarray


def converter(root: pathlib.Path, settings: Params, faults: errors.Faults) -> Converter:
    """Return the converter of a mask format; the folder and the list that it reads must not be behind links.

    Args:
        root: the data root.
        settings: section `labels`, with a format other than `none`.
        faults: receives the faults in the list of names, and linked folders.
    """
    layout.check_links(root, (settings.folder, settings.names), faults)
    reduced = pascal_context.reduced if settings.reduce else lambda table: table
    if settings.format == "context_mat":
        table = pascal_context.table_459(root, str(settings.names), faults)
        return Converter(".mat", _without_palette(pascal_context.read_mat), reduced(table))
    if settings.format == "context_png":
        table = pascal_context.table_png(settings.ids, settings.order)
        return Converter(".png", image_files.read_stored_ids, reduced(table))
    table = np.arange(label_ids.IGNORE_IN_8_BITS + 1)
    table[label_ids.IGNORE_IN_8_BITS] = label_ids.IGNORE_INDEX
    return Converter(".mat", _without_palette(matlab.read_sbd_mask), table)


def sources(root: pathlib.Path, settings: Params, suffix: str, faults: errors.Faults) -> list[pathlib.Path]:
    """Return the files to convert, sorted by name; a fault is added to `faults` if there are none."""
    folder = root / str(settings.folder)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [path for path in paths if path.suffix == suffix and not path.name.startswith(".")]
    if not paths:
        faults.add(f"labels.folder contains no <id>{suffix}", str(settings.folder))
    return paths


def convert(
    folder: pathlib.Path, paths: list[pathlib.Path], converter: Converter, workers: int, faults: errors.Faults
) -> Iterator[pathlib.Path]:
    """Convert masks and write each as `folder`/<id>.png.

    Args:
        folder: the folder of the PNGs.
        paths: the files to convert.
        converter: reader and label table of their format.
        workers: number of threads; 0 uses this thread.
        faults: receives a fault for every file that cannot be converted, which gets no PNG, and for every source id with different
            colours in two files.

    Yields:
        each of `paths`, in order, when it is processed.
    """

    def write(path: pathlib.Path) -> tuple[palettes.Palette | None, tuple[str, str] | None]:
        try:
            ids, palette = converter.read(path)
        except image_files.ImageError as error:
            return None, ("unusable mask", str(error))
        table = np.full(int(ids.max(initial=0)) + 1, -1)
        table[: len(converter.table)] = converter.table[: len(table)]
        labels = table[ids]
        if labels.min(initial=0) < 0:
            invalid_ids = ", ".join(map(str, np.unique(ids[labels < 0])))
            return None, (f"label out of range ({_allowed(converter.table)})", f"{path}: {invalid_ids}")
        image_files.write_mask(folder / f"{path.stem}.png", labels.astype(label_ids.DTYPE))
        return palettes.used(palette, np.unique(ids).tolist()), None

    masks = []
    for path, (colours, fault) in zip(paths, parallel.in_order(write, paths, workers), strict=True):
        if fault:
            faults.add(*fault)
        masks.append((path, colours))
        yield path
    palettes.check(masks, np.flatnonzero(converter.table == label_ids.IGNORE_INDEX), faults)


def _without_palette(
    read: Callable[[pathlib.Path], np.ndarray],
) -> Callable[[pathlib.Path], tuple[np.ndarray, palettes.Palette | None]]:
    """Return a reader for `Converter.read` that returns no palette."""
    return lambda path: (read(path), None)


def _allowed(table: np.ndarray) -> str:
    """Return the allowed ids of a table as text, for example `0 to 58, 255`."""
    ids = np.flatnonzero(table >= 0)
    runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
