"""Reading annotation files in COCO's layout, and the faults of one file and between files.

A fault is what no program can put right: ids that are used twice or lead nowhere, classes with one name, images that are missing or of
another size. A single annotation without usable pixels is no fault; `segments` says what becomes of it.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pydantic
import typing_extensions

from zeroshot.base import errors, parallel, text_files, user_files
from zeroshot.datasets import published, run_lengths
from zeroshot.datasets.instances import class_list
from zeroshot.images import image_files

_STRICT = pydantic.ConfigDict(strict=True, allow_inf_nan=False)


class Image(typing_extensions.TypedDict):
    """An entry of `images`; other keys are left out."""

    id: int
    file_name: str
    width: int
    height: int


class Category(typing_extensions.TypedDict):
    """An entry of `categories`."""

    id: int
    name: str


class Annotation(typing_extensions.TypedDict):
    """An entry of `annotations`: an object, or with `iscrowd` 1 a region that is not scored; the box is x, y, width, height."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    id: int
    image_id: int
    category_id: int
    iscrowd: typing_extensions.NotRequired[Literal[0, 1]]
    area: typing_extensions.NotRequired[float | None]
    bbox: typing_extensions.NotRequired[tuple[float, float, float, float] | None]
    segmentation: typing_extensions.NotRequired[run_lengths.Outline | None]


class _Content(typing_extensions.TypedDict):
    images: list[Image]
    categories: list[Category]
    annotations: list[Annotation]


_CONTENT = pydantic.TypeAdapter(_Content)


@dataclasses.dataclass(frozen=True)
class AnnotationFile:
    """The content of one file.

    Attributes:
        path: the file.
        folder: the folder that its image names belong to.
        images, categories, annotations: the entries, in the order of the file.
    """

    path: pathlib.Path
    folder: pathlib.Path
    images: Sequence[Image]
    categories: Sequence[Category]
    annotations: Sequence[Annotation]


def read(path: pathlib.Path, folder: pathlib.Path, faults: errors.Faults) -> AnnotationFile:
    """Read a file whose images are in `folder`; a file that cannot be read is a fault, and empty."""
    try:
        user_files.head(path)
        content = _CONTENT.validate_json(path.read_bytes(), strict=True)
    except pydantic.ValidationError as error:
        kind = "annotation file that is not COCO's JSON (it needs images, categories and annotations; export it again)"
        faults.add(kind, f"{path}: {'; '.join(errors.describe(error))}")
    except (user_files.FileError, OSError) as error:
        faults.add("annotation file that cannot be read", str(error))
    else:
        file = AnnotationFile(path, folder, content["images"], content["categories"], content["annotations"])
        _check_ids(file, faults)
        return file
    return AnnotationFile(path, folder, (), (), ())


def _check_ids(file: AnnotationFile, faults: errors.Faults) -> None:
    """Report ids that are used twice, and annotations of unknown images and categories."""
    for what, entries in (("image", file.images), ("category", file.categories), ("annotation", file.annotations)):
        for id in _repeated(entry["id"] for entry in entries):
            faults.add(
                f"{what} id that is used twice in a file (give each a number of its own)", f"{file.path}: {what} {id}"
            )
    images = {image["id"] for image in file.images}
    categories = {category["id"] for category in file.categories}
    for annotation in file.annotations:
        where = f"{file.path}: annotation {annotation['id']}"
        if annotation["image_id"] not in images:
            kind = "annotation of an image that the file does not list (list the image, or remove the annotation)"
            faults.add(kind, f"{where}: image_id {annotation['image_id']}")
        if annotation["category_id"] not in categories:
            kind = "annotation of a category that the file does not list (list the category, or remove the annotation)"
            faults.add(kind, f"{where}: category_id {annotation['category_id']}")


def _repeated(values: Iterable[Any]) -> list[Any]:
    known, repeated = set(), {}
    for value in values:
        if value in known:
            repeated[value] = None
        known.add(value)
    return list(repeated)


def check_joined(train: Sequence[AnnotationFile], val: AnnotationFile, faults: errors.Faults) -> None:
    """Report images that are in two training files, twice in one, or in training and evaluation.

    Args:
        train: the training files, which are joined, so an image id belongs to one of them.
        val: the evaluation file.
        faults: receives the faults.
    """
    first_ids: dict[int, AnnotationFile] = {}
    for file in train:
        for image in file.images:
            other = first_ids.setdefault(image["id"], file)
            if other is not file:
                kind = "image id in two training files (give each image a number of its own, or name one file)"
                faults.add(kind, f"image {image['id']}: {other.path} and {file.path}")
    places: dict[pathlib.Path, str] = {}
    for role, files in (("training", train), ("evaluation", [val])):
        paths = [file.folder / image["file_name"] for file in files for image in file.images]
        for path in _repeated(paths):
            faults.add(f"{role} image that is listed twice (list it once)", str(path))
        for path in paths:
            if places.setdefault(path, role) != role:
                faults.add("image for both training and evaluation (remove it from one of the files)", str(path))


def categories(files: Sequence[AnnotationFile], faults: errors.Faults) -> dict[int, str]:
    """Return category id -> name of all files; two names of an id, and two ids of a name, are faults."""
    names: dict[int, str] = {}
    places: dict[str, int] = {}
    for file in files:
        for category in file.categories:
            id, name = category["id"], text_files.normalise(category["name"])
            where = f"{file.path}: category {id}"
            if names.setdefault(id, name) != name:
                faults.add("category id with another name than before", f"{where}: `{name}`, and before `{names[id]}`")
            elif (other := places.setdefault(published.plain(name), id)) != id:
                kind = "two categories of one name, but for case, spaces, hyphens and underscores (join them, or rename one)"
                faults.add(kind, f"{where}: `{name}`, like category {other}, `{names[other]}`")
            if not name.strip() or not name.isprintable():
                faults.add("category without a readable name", f"{where}: {name!a}")
            elif published.plain(name) == class_list.BACKGROUND:
                kind = "category with the name of the background, which is what no object covers (remove it and its annotations)"
                faults.add(kind, where)
    return names


def check_images(files: Sequence[AnnotationFile], workers: int, faults: errors.Faults) -> Iterable[None]:
    """Report images that are missing, cannot be read, or have another size than their file says; yield after each.

    Args:
        files: the annotation files.
        workers: number of threads.
        faults: receives the faults.
    """

    def check(item: tuple[AnnotationFile, Image]) -> tuple[str, str] | None:
        file, image = item
        where = f"{file.path}: image {image['id']}"
        name = pathlib.PurePosixPath(image["file_name"])
        if not name.parts or name.is_absolute() or ".." in name.parts or "\\" in image["file_name"]:
            return (
                "image name that leaves its folder (write it relative to the images folder, without `..`)",
                f"{where}: {image['file_name']!r}",
            )
        path = file.folder / name
        try:
            height, width = image_files.read_size(path)
        except image_files.ImageError as error:
            fault = "cannot be used" if path.exists() else "does not exist"
            return (
                f"image that {fault} (put it into the images folder, or remove it from the file)",
                f"{where}: {error}",
            )
        if (height, width) != (image["height"], image["width"]):
            return (
                "image of another size than its file says (annotations are in pixels of the file's size; use the original image)",
                f"{where}: {path} is {width} x {height}, the file says {image['width']} x {image['height']}",
            )
        return None

    items = [(file, image) for file in files for image in file.images]
    for fault in parallel.in_order(check, items, workers):
        if fault is not None:
            faults.add(*fault)
        yield


def by_image(file: AnnotationFile) -> Mapping[int, list[Annotation]]:
    """Return image id -> its annotations, in the order of the file; every image has an entry."""
    found: dict[int, list[Annotation]] = {image["id"]: [] for image in file.images}
    for annotation in file.annotations:
        found[annotation["image_id"]].append(annotation)
    return found
