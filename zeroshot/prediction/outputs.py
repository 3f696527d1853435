"""The files that `zeroshot predict` writes."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import PIL.Image

from zeroshot.base import errors, progress, storage
from zeroshot.images import image_files, pictures
from zeroshot.own_data import folder as folder_scan
from zeroshot.prediction import segmenter
from zeroshot.prediction.model import Model

# What `write` adds to the stem of an image.
ENDINGS = (".png", "_overlay.jpg", "_confidence.png")
# The tables of a whole call, a .csv and a .json each: of segments, and of instances (`instances/instance_outputs.py`).
TABLES = ("shares", "instances")
# Columns of shares.csv.
COLUMNS = ("image", "class", "unseen", "share")


@dataclasses.dataclass(frozen=True)
class Source:
    """An image to segment.

    Attributes:
        path: its file.
        stem: where its results go, relative to the folder of results and without a suffix.
    """

    path: pathlib.Path
    stem: pathlib.Path


def find(paths: Iterable[pathlib.Path], out: pathlib.Path, endings: Sequence[str] = ENDINGS) -> list[Source]:
    """Return the images that are named, and all images in and below the folders that are named, in the order of their names.

    Folders below these that hold results of an earlier call are left out, and named on standard error.

    Args:
        paths: images and folders.
        out: the folder of results; what is in it is not searched.
        endings: what a result adds to the stem of its image.

    Raises:
        errors.UserError: if a path does not exist, a folder has no image, two images would have the same results, a result would
            replace an image, or something else than a file or a folder of results stands in its place.
    """
    sources: list[Source] = []
    for path in paths:
        if path.is_dir():
            left_out = _results(path)
            for folder in sorted(left_out - {out.resolve()}):
                progress.say(f"left out {folder}, which has results of an earlier call")
            if out.resolve() != path.resolve():
                left_out.add(out.resolve())
            searched = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in (*folder_scan.IMAGE_SUFFIXES, *folder_scan.UNREAD_SUFFIXES)
                and file.is_file()
                and left_out.isdisjoint(file.resolve().parents)
            )
            inside = [file for file in searched if file.suffix.lower() in folder_scan.IMAGE_SUFFIXES]
            unread = [file for file in searched if file.suffix.lower() in folder_scan.UNREAD_SUFFIXES]
            if unread:
                progress.say(f"left out, of formats that are not read: {len(unread)}, such as {unread[0]}")
            if not inside:
                raise errors.UserError(f"{path}: has no image ({', '.join(folder_scan.IMAGE_SUFFIXES)})")
            sources += [Source(file, file.relative_to(path).with_suffix("")) for file in inside]
        elif path.exists():
            sources.append(Source(path, pathlib.Path(path.stem)))
        else:
            raise errors.UserError(f"{path}: no such file or folder")
    owners: dict[pathlib.Path, pathlib.Path] = {}
    for source in sources:
        other = owners.setdefault(source.stem, source.path)
        if os.path.abspath(other) != os.path.abspath(source.path):
            raise errors.UserError(
                f"{other} and {source.path}: would have the same results, {source.stem}{endings[0]}; segment them into two folders"
            )
    images = {source.path.resolve() for source in sources}
    folders = {folder for path in images for folder in path.parents}
    for source in sources:
        for result in (named(out / source.stem, ending) for ending in endings):
            if result.resolve() in images | folders:
                what = "is an image" if result.resolve() in images else "has an image"
                raise errors.UserError(f"{result}: {what}, and would be replaced; give another --out")
            _check_place(result)
    return list({source.stem: source for source in sources}.values())


def _results(path: pathlib.Path) -> set[pathlib.Path]:
    """Return the resolved folders below `path` that have the tables of results of a whole call."""
    tables = [file for name in TABLES for file in path.rglob(f"{name}.csv") if file.with_suffix(".json").exists()]
    return {file.parent.resolve() for file in tables} - {path.resolve()}


def _check_place(result: pathlib.Path) -> None:
    """Refuse a result whose place is taken: a file where a folder is needed, or a folder where a file is; a file has a suffix."""
    taken = [folder for folder in result.parents if folder.exists() and not folder.is_dir()]
    if not taken and result.exists() and result.is_dir() == bool(result.suffix):
        taken = [result]
    if taken:
        found, needed = ("folder", "file") if taken[0].is_dir() else ("file", "folder")
        raise errors.UserError(
            f"{taken[0]}: is a {found}, and a {needed} is needed there; remove it, or give another --out"
        )


def write(
    folder: pathlib.Path, source: Source, image: np.ndarray, found: segmenter.Segmentation, model: Model, masks: bool
) -> list[dict[str, str | float | bool]]:
    """Write the results of one image.

    `<stem>.png` has the label ids as a palette PNG, `<stem>_overlay.jpg` the colours over the image with a legend, and
    `<stem>_confidence.png` the confidence in grey, where 255 is 100 %.

    Args:
        folder: the folder of results.
        source: the image.
        image: (H, W, 3) uint8.
        found: its segmentation.
        model: gives names, roles and colours.
        masks: also write `<stem>_masks/<class>.png` for each class in the image, 255 where the class is and 0 elsewhere.

    Returns:
        a row of `COLUMNS` for each class of the model, shares in per cent.
    """
    stem = folder / source.stem
    stem.parent.mkdir(parents=True, exist_ok=True)
    image_files.write_mask(named(stem, ".png"), found.labels, model.colours)
    picture = pictures.overlay(image, found.labels, model.names, model.unseen, model.colours)
    write_overlay(named(stem, "_overlay.jpg"), picture)
    write_grey(named(stem, "_confidence.png"), np.round(255 * found.confidence).astype(np.uint8))
    if masks:
        named(stem, "_masks").mkdir(exist_ok=True)
        for label in np.unique(found.labels).tolist():
            path = named(stem, "_masks") / f"{model.names[label].replace(os.sep, '_')}.png"
            write_grey(path, np.where(found.labels == label, 255, 0).astype(np.uint8))
    counts = np.bincount(found.labels.ravel(), minlength=len(model.names))
    return [
        {
            "image": os.fspath(source.path),
            "class": model.names[label],
            "unseen": label in model.unseen,
            "share": round(100.0 * counts[label] / found.labels.size, 4),
        }
        for label in model.labels
    ]


def write_shares(folder: pathlib.Path, rows: Sequence[dict[str, str | float | bool]]) -> None:
    """Write the shares of all images as shares.csv, and as shares.json: image -> class -> per cent, without classes of no pixel."""
    storage.write_csv(folder / "shares.csv", rows, COLUMNS)
    nested: dict[str, dict[str, float]] = {}
    for row in rows:
        shares = nested.setdefault(str(row["image"]), {})
        if row["share"]:
            shares[str(row["class"])] = float(row["share"])
    storage.write_json(folder / "shares.json", nested)


# How many classes `summary` names.
_NAMED = 6


def summary(rows: Sequence[dict[str, str | float | bool]]) -> str:
    """Return what was found in all images, in words: the classes with the most pixels and their mean share."""
    n_images = len({row["image"] for row in rows})
    shares: dict[str, float] = {}
    for row in rows:
        name = f"{row['class']} (unseen)" if row["unseen"] else str(row["class"])
        shares[name] = shares.get(name, 0.0) + float(row["share"]) / n_images
    largest = sorted(shares.items(), key=lambda item: -item[1])[:_NAMED]
    return ", ".join(f"{name} {share:.1f} %" for name, share in largest if share >= 0.05)


def named(stem: pathlib.Path, ending: str) -> pathlib.Path:
    """Return the path of a result."""
    return stem.with_name(stem.name + ending)


def write_overlay(path: pathlib.Path, picture: PIL.Image.Image) -> None:
    """Write a picture as JPEG."""
    with storage.writing(path, flush=False) as file:
        picture.save(file, format="JPEG", quality=90)


def write_grey(path: pathlib.Path, values: np.ndarray) -> None:
    """Write values (H, W) uint8 as a grey PNG."""
    with storage.writing(path, flush=False) as file:
        PIL.Image.fromarray(values).save(file, format="PNG")
