"""Annotations in COCO's JSON: images, categories, and polygons or run lengths."""

import pathlib
import re
from collections.abc import Collection, Sequence
from typing import Any

import pydantic
import typing_extensions

from zeroshot.base import errors
from zeroshot.datasets import run_lengths
from zeroshot.own_data import annotations, class_list

_FINITE = pydantic.ConfigDict(allow_inf_nan=False)


class _Image(typing_extensions.TypedDict):
    id: int | str
    file_name: str
    width: typing_extensions.NotRequired[int | None]
    height: typing_extensions.NotRequired[int | None]


class _Category(typing_extensions.TypedDict):
    id: int | str
    name: str


class _Annotation(typing_extensions.TypedDict):
    __pydantic_config__ = _FINITE  # type: ignore[misc]
    id: typing_extensions.NotRequired[int | str | None]
    image_id: int | str
    category_id: int | str
    segmentation: typing_extensions.NotRequired[run_lengths.Outline | None]


class _File(typing_extensions.TypedDict):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


_FILE = pydantic.TypeAdapter(_File)


def read(
    root: pathlib.Path, files: Sequence[pathlib.Path], images: Collection[str], faults: errors.Faults
) -> annotations.Annotations:
    """Read COCO files. An image of a file that has no annotation counts as not annotated.

    Args:
        root: the folder of the data set.
        files: JSON files, whose images differ. Numbers of images and categories belong to one file, names of categories to all.
        images: ids of the images on the disk.
        faults: receives what does not fit together.

    Raises:
        errors.UserError: if a file is no COCO file.
    """
    names = [class_list.BACKGROUND]
    outlines: dict[str, annotations.Outlines] = {}
    described: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for path in files:
        content = annotations.read_json(path, _FILE, "COCO")
        _check_ids(path, content, faults)
        ids = {}
        for image in content["images"]:
            id = annotations.image_id(image["file_name"])
            where = f"{path}: {image['file_name']}"
            ids[image["id"]] = id
            if id not in images:
                faults.add("image of the annotations does not exist", where)
            if id in described:
                faults.add("image is described twice", f"{described[id]} and {where}")
            described[id] = where
        values = {category["id"]: class_list.place(names, category["name"]) for category in content["categories"]}
        of_image: dict[int | str, list[annotations.Region]] = {}
        for number, annotation in enumerate(content["annotations"]):
            region = _region(path, number, annotation, ids, values, faults)
            if region is not None:
                of_image.setdefault(annotation["image_id"], []).append(region)
        here = {
            ids[image["id"]]: annotations.Outlines(
                f"{path}: {image['file_name']}",
                (image.get("height"), image.get("width")),
                tuple(of_image[image["id"]]),
            )
            for image in content["images"]
            if image["id"] in of_image
        }
        outlines |= here
        # With the folder: exports have train/_annotations.coco.json.
        role = re.search(r"(?<![a-z])(train|val)", path.relative_to(root).as_posix().lower())
        if role:
            lists.setdefault(role[1], []).extend(id for id in here if id in images)
    return annotations.Annotations(names, outlines, lists if len(lists) == 2 else {})


def _check_ids(path: pathlib.Path, content: _File, faults: errors.Faults) -> None:
    for what in ("images", "categories", "annotations"):
        found: set[Any] = set()
        for item in content[what]:
            id = item.get("id")
            if id is not None and id in found:
                faults.add("id is used twice", f"{path}: {what}: id {id}")
            found.add(id)


def _region(
    path: pathlib.Path,
    number: int,
    annotation: _Annotation,
    ids: Collection[int | str],
    values: dict[int | str, int],
    faults: errors.Faults,
) -> annotations.Region | None:
    """Return the region of an annotation; None if it has a fault."""
    where = f"{path}: annotation {annotation.get('id', f'number {number}')}"
    value, segmentation = values.get(annotation["category_id"]), annotation.get("segmentation")
    if annotation["image_id"] not in ids:
        faults.add("annotation of an unknown image", f"{where}: image_id {annotation['image_id']}")
    elif value is None:
        faults.add("annotation of an unknown category", f"{where}: category_id {annotation['category_id']}")
    elif segmentation is None or run_lengths.is_empty(segmentation):
        faults.add("annotation has boxes only; draw its outline, or remove it", where)
    else:
        return annotations.Region(where, value, segmentation)
    return None
