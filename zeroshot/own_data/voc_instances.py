"""The objects of Pascal VOC 2012 and of SBD as annotation files in COCO's layout, which ZSI reads: `zeroshot voc-instances`."""

import collections
import dataclasses
import functools
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from zeroshot.base import errors, parallel, progress, storage
from zeroshot.datasets import layout, lists, matlab, published, run_lengths
from zeroshot.images import image_files, label_ids
from zeroshot.own_data import parameters

CLASS_MASKS, OBJECT_MASKS = "SegmentationClass", "SegmentationObject"
# SBD's training images without those of VOC's validation list, its masks of objects, and the name of the list that is made of them.
SBD_LIST, SBD_MASKS, SBD_NAME = "train_noval.txt", "inst", "sbd_extra"
_ID = re.compile(r"[0-9]{4}_[0-9]{6}")
_NO_OBJECT = (label_ids.BACKGROUND, label_ids.IGNORE_INDEX)

T = TypeVar("T")
Entry = dict[str, Any]
# What is wrong, and where, as `errors.Faults.add` takes them.
_Fault = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class _Objects:
    """The objects of one image.

    Attributes:
        path: the file with their numbers.
        numbers: (H, W) uint16, the number of the object of each pixel.
        labels: number -> label id of the class, ascending; the other numbers are no objects.
    """

    path: pathlib.Path
    numbers: np.ndarray
    labels: Mapping[int, int]


@dataclasses.dataclass(frozen=True)
class _Described:
    """The entries of one image and of its objects, as far as there are no faults."""

    image: Entry
    objects: Sequence[Entry]
    faults: Sequence[_Fault]


# Returns the objects of the image with an id; None, and adds faults, if they cannot be told.
_Reader = Callable[[str, list[_Fault]], _Objects | None]


def convert(
    root: pathlib.Path, out: pathlib.Path, names: Sequence[str], sbd: pathlib.Path | None, workers: int = 2
) -> list[str]:
    """Write instances_NAME.json for every list, and instances_sbd_extra.json for SBD's images that are in none of the lists.

    An image id is VOC's without its underscore; a category id is VOC's label id. Equal data give equal bytes.

    Args:
        root: the folder of VOC 2012, with JPEGImages, SegmentationClass, SegmentationObject and ImageSets/Segmentation.
        out: the folder of the annotation files.
        names: lists in ImageSets/Segmentation, without `.txt`.
        sbd: SBD's folder `dataset`, with train_noval.txt and inst; None: without SBD. The images are those in JPEGImages.
        workers: number of threads.

    Returns:
        a line about each file for the user.

    Raises:
        errors.DatasetError: if the data have faults; the text lists all of them, and nothing is written.
    """
    faults = errors.Faults()
    listed = {name: _read_ids(root, f"{parameters.LIST_FOLDER}/{name}.txt", faults) for name in names}
    readers: dict[str, _Reader] = dict.fromkeys(
        (id for ids in listed.values() for id in ids), functools.partial(_read_voc, root)
    )
    folders = [root / name for name in (layout.IMAGES, CLASS_MASKS, OBJECT_MASKS)]
    if sbd is not None:
        ids = _read_ids(pathlib.Path(), f"{sbd}/{SBD_LIST}", faults)
        listed[SBD_NAME] = [id for id in ids if id not in readers]
        readers |= dict.fromkeys(listed[SBD_NAME], functools.partial(_read_sbd, sbd))
        folders.append(sbd / SBD_MASKS)
    absent = [folder for folder in folders if not folder.is_dir()]
    for folder in absent:
        faults.add("folder that does not exist (unpack the whole data set)", str(folder))
    if absent:
        # Every image would lack its file.
        faults.raise_any(str(root))

    def describe(id: str) -> _Described:
        return _describe(root / layout.IMAGES, id, readers[id])

    results = parallel.in_order(describe, readers, workers)
    described = dict(zip(readers, progress.track(results, "voc-instances", total=len(readers)), strict=True))
    for of_image in described.values():
        for kind, detail in of_image.faults:
            faults.add(kind, detail)
    faults.raise_any(str(root))
    return [_write(out / f"instances_{name}.json", [(id, described[id]) for id in ids]) for name, ids in listed.items()]


def _read_ids(root: pathlib.Path, name: str, faults: errors.Faults) -> list[str]:
    """Return the ids of a list, sorted. Those that are not VOC's are faults, since no number follows from them, and left out."""
    ids = lists.read_ids(root, name, faults)
    voc = [id for id in ids if _ID.fullmatch(id)]
    for id in sorted(set(ids) - set(voc)):
        faults.add("id that is none of VOC 2012, such as 2007_000033 (correct the list)", f"{name}: {id}")
    return voc


def _describe(images: pathlib.Path, id: str, read: _Reader) -> _Described:
    """Read an image's size and its objects, and return their entries."""
    faults: list[_Fault] = []
    path = images / f"{id}.jpg"
    size = _decoded(image_files.read_size, path, "unusable image", faults)
    objects = read(id, faults)
    if size is None or objects is None:
        return _Described({}, (), faults)
    _check_sizes({path: size, objects.path: objects.numbers.shape}, faults)
    image = {"file_name": path.name, "width": size[1], "height": size[0]}
    entries = [run_lengths.annotation(objects.numbers == number, label) for number, label in objects.labels.items()]
    return _Described(image, entries, faults)


def _read_voc(root: pathlib.Path, id: str, faults: list[_Fault]) -> _Objects | None:
    """Read VOC's masks of classes and of objects; the class of an object is that of its pixels."""
    path, class_path = (root / folder / f"{id}{layout.MASK_SUFFIX}" for folder in (OBJECT_MASKS, CLASS_MASKS))
    numbers, labels = (_decoded(image_files.read_mask, file, "unusable mask", faults) for file in (path, class_path))
    if numbers is None or labels is None or not _check_sizes({path: numbers.shape, class_path: labels.shape}, faults):
        return None
    # Numbers and labels have 16 bits each.
    pairs = np.unique(numbers.astype(np.int64) * label_ids.N_IDS + labels)
    labels_of: dict[int, set[int]] = collections.defaultdict(set)
    for number, label in zip(*(part.tolist() for part in np.divmod(pairs, label_ids.N_IDS)), strict=True):
        labels_of[number].add(label)
    shown = set().union(*labels_of.values()).difference(_NO_OBJECT)
    if not _check_labels(shown, class_path, faults):
        return None
    found: dict[int, int] = {}
    for number, pixels in labels_of.items():
        if number in _NO_OBJECT:
            continue
        classes = sorted(pixels.difference(_NO_OBJECT))
        where = f"{path}: object {number}"
        if not classes:
            kind = f"object without a class in {CLASS_MASKS} (correct a mask, or take the image out of the list)"
            faults.append((kind, f"{where}: all of its pixels are background or void"))
        elif len(classes) > 1:
            kind = f"object with several classes in {CLASS_MASKS} (correct a mask, or take the image out of the list)"
            faults.append((kind, f"{where}: {_names(classes)}"))
        else:
            found[number] = classes[0]
    alone = shown.difference(*(labels_of[number] for number in labels_of if number not in _NO_OBJECT))
    if alone:
        kind = f"class without an object in {OBJECT_MASKS} (correct a mask, or take the image out of the list)"
        faults.append((kind, f"{class_path}: {_names(sorted(alone))}"))
    return _Objects(path, numbers, found)


def _read_sbd(sbd: pathlib.Path, id: str, faults: list[_Fault]) -> _Objects | None:
    """Read SBD's mask of objects and its list of their classes. SBD has no void, so 255 is an object."""
    path = sbd / SBD_MASKS / f"{id}.mat"
    content = _decoded(_read_gtinst, path, "unusable mask", faults)
    if content is None:
        return None
    numbers, categories = content
    if not _check_labels(categories, path, faults):
        return None
    present = [number for number in np.unique(numbers).tolist() if number != label_ids.BACKGROUND]
    beyond = [number for number in present if number > len(categories)]
    if beyond:
        kind = "object without a class in GTinst.Categories (correct the file, or take the image out of the list)"
        faults.append((kind, f"{path}: object {', '.join(map(str, beyond))} of {len(categories)}"))
        return None
    return _Objects(path, numbers, {number: categories[number - 1] for number in present})


def _read_gtinst(path: pathlib.Path) -> tuple[np.ndarray, list[int]]:
    """Return `GTinst.Segmentation`, (H, W) uint16, and `GTinst.Categories`, the label id of each object from number 1 on.

    Raises:
        image_files.ImageError: if the file is missing, broken, too large, or has no such values.
    """
    objects = matlab.read(path, "GTinst")
    fields = objects if isinstance(objects, dict) else {}
    numbers = matlab.check_mask(path, fields.get("Segmentation"), "GTinst.Segmentation", (np.uint8, np.uint16))
    # One number is read as such, and none as an empty matrix.
    categories = np.atleast_1d(fields.get("Categories", "none")).ravel()
    if categories.dtype.kind not in "iuf" or np.any(categories % 1):
        raise image_files.ImageError(f"{path}: contains no whole numbers GTinst.Categories")
    return numbers.astype(label_ids.DTYPE), categories.astype(np.int64).tolist()


def _decoded(read: Callable[[pathlib.Path], T], path: pathlib.Path, kind: str, faults: list[_Fault]) -> T | None:
    """Return what `read` returns; None, and add a fault, if the file cannot be used."""
    try:
        return read(path)
    except image_files.ImageError as error:
        faults.append((kind, str(error)))
        return None


def _check_sizes(sizes: Mapping[pathlib.Path, tuple[int, ...]], faults: list[_Fault]) -> bool:
    """Return whether the files of an image have one size (height, width); a fault if not."""
    if len(set(sizes.values())) == 1:
        return True
    detail = ", ".join(f"{path} is {size[1]} x {size[0]}" for path, size in sizes.items())
    faults.append(("image and masks differ in size", detail))
    return False


def _check_labels(labels: Iterable[int], path: pathlib.Path, faults: list[_Fault]) -> bool:
    """Return whether all label ids are classes of VOC; a fault if not."""
    last = len(published.VOC.classes) - 1
    wrong = [label for label in sorted(set(labels)) if not 1 <= label <= last]
    if wrong:
        faults.append((f"label out of range (classes have 1 to {last})", f"{path}: {', '.join(map(str, wrong))}"))
    return not wrong


def _names(labels: Iterable[int]) -> str:
    return ", ".join(published.VOC.classes[label] for label in labels)


def _write(path: pathlib.Path, described: Iterable[tuple[str, _Described]]) -> str:
    """Write the annotation file of a list, whose annotations are numbered from 1, and return a line about it."""
    images, annotations = [], []
    for id, of_image in described:
        number = int(id.replace("_", ""))
        images.append({"id": number, **of_image.image})
        for entry in of_image.objects:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **entry})
    categories = [{"id": label, "name": name} for label, name in enumerate(published.VOC.classes) if label]
    info = {"description": "Pascal VOC, made by `zeroshot voc-instances`"}
    content = {"info": info, "images": images, "annotations": annotations, "categories": categories}
    storage.write_text(path, json.dumps(content, separators=(",", ":")) + "\n")
    n_classes = len({entry["category_id"] for entry in annotations})
    return f"{path}: {len(images):,} images, {len(annotations):,} objects of {n_classes} classes"
