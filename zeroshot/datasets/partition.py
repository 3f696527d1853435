"""Checking a dataset and sorting its images into train, unlabelled and val (docs/protocol.md)."""

import collections
import dataclasses
import difflib
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from zeroshot.base import errors, parallel, progress, storage
from zeroshot.datasets import layout, splits
from zeroshot.images import image_files, label_ids


@dataclasses.dataclass(frozen=True)
class Inspection:
    """Result of decoding an entry.

    Attributes:
        pixels: number of mask pixels of each label id in the mask.
        faults: (kind, detail) of each fault.
    """

    pixels: dict[int, int]
    faults: tuple[tuple[str, str], ...] = ()


def check(
    root: pathlib.Path, labels: pathlib.Path, settings: layout.Params, workers: int
) -> tuple[splits.Split, dict[str, layout.Entry]]:
    """Find and decode all images and masks, and sort them into a split.

    Args:
        root: the data root.
        labels: folder of converted masks.
        settings: section `data`.
        workers: number of threads.

    Returns:
        the split, and the entries by id.

    Raises:
        errors.DatasetError: if the dataset has faults; the text lists all of them.
    """
    faults = errors.Faults()
    classes = layout.read_classes(root, settings.classes, faults)
    train = layout.find_train(root, labels, settings, faults)
    val = layout.find_val(root, labels, settings, faults)
    inspections = inspect(root, train + val, len(classes) or label_ids.MAX_CLASSES, workers)
    inspected = list(progress.track(inspections, "check images and masks", total=len(train) + len(val)))
    split = build(settings, classes, inspected[: len(train)], inspected[len(train) :], faults)
    faults.raise_any(str(root))
    return split, {entry.id: entry for entry in train + val}


def inspect(
    root: pathlib.Path, entries: Iterable[layout.Entry], n_classes: int, workers: int
) -> Iterator[tuple[layout.Entry, Inspection]]:
    """Decode the image and the mask of every entry in `workers` threads; yield in the order of `entries`."""

    def inspect_one(entry: layout.Entry) -> tuple[layout.Entry, Inspection]:
        return entry, _inspect(root, entry, n_classes)

    return parallel.in_order(inspect_one, entries, workers)


def build(
    settings: layout.Params,
    classes: tuple[str, ...],
    train: list[tuple[layout.Entry, Inspection]],
    val: list[tuple[layout.Entry, Inspection]],
    faults: errors.Faults,
) -> splits.Split:
    """Sort inspected entries into a split.

    A training image with pixels of an unseen class goes to `unlabelled`. With `exclude: pixels` it also stays in `train`, and those pixels
    are ignored. A training image without pixels of a seen class is not in `train`.

    Args:
        settings: section `data`.
        classes: class names in label order.
        train: entries of the training lists and their inspections.
        val: entries of the validation list and their inspections.
        faults: receives all faults.

    Returns:
        the split, which must not be used if there are faults.
    """
    unseen = _unseen_labels(classes, layout.unseen_names(settings), faults)
    seen = tuple(label for label in range(len(classes)) if label not in unseen)
    for _, inspection in [*train, *val]:
        for kind, detail in inspection.faults:
            faults.add(kind, detail)
    usable = [(entry, inspection) for entry, inspection in train if not inspection.faults]
    train_entries, unlabelled = [], []
    train_labels: set[int] = set()
    for entry, inspection in usable:
        has_unseen = not inspection.pixels.keys().isdisjoint(unseen)
        if has_unseen:
            unlabelled.append(entry)
        if not inspection.pixels.keys().isdisjoint(seen) and not (has_unseen and settings.exclude == "images"):
            train_entries.append(entry)
            train_labels.update(inspection.pixels)
    if usable and not train_entries:
        faults.add(
            "no training image is left",
            f"{len(unlabelled)} of {len(usable)} usable images contain an unseen class; "
            "declare fewer classes unseen, or set data.exclude: pixels",
        )
    for label in seen if train_entries else ():
        if label not in train_labels:
            faults.add(
                "seen class without a pixel in train (declare it unseen or give it images)",
                f"{classes[label]} (label {label})",
            )
    return splits.Split(
        classes=classes,
        seen=seen,
        unseen=unseen,
        exclude=settings.exclude,
        train=_items(train_entries),
        unlabelled=_items(unlabelled),
        val=_items(entry for entry, _ in val),
    )


def write_masks(
    folder: str | pathlib.Path,
    entries: Iterable[layout.Entry],
    ignored: tuple[int, ...],
    workers: int,
) -> Iterator[tuple[str, dict[int, int]]]:
    """Write the masks of `entries` as `folder`/<id>.png; the folder is replaced when all are written.

    Args:
        folder: replaced with all its files, so that no mask of an earlier split remains.
        entries: the entries whose masks are written.
        ignored: labels that are written as `label_ids.IGNORE_INDEX`.
        workers: number of threads.

    Yields:
        id of each mask, and the number of pixels of each label id in it.
    """
    with storage.replacing_folder(folder) as unfinished:

        def write(entry: layout.Entry) -> tuple[str, dict[int, int]]:
            mask = image_files.read_mask(entry.mask)
            mask[np.isin(mask, ignored)] = label_ids.IGNORE_INDEX
            image_files.write_mask(unfinished / f"{entry.id}.png", mask)
            return entry.id, _count(mask)

        yield from parallel.in_order(write, entries, workers)


def write_counts(path: str | pathlib.Path, split: splits.Split, counts: dict[str, list[dict[int, int]]]) -> None:
    """Write a table of images and pixels per list and class, for human readers; no stage may read it.

    Args:
        path: the CSV file.
        split: the split, for class names and roles.
        counts: list name -> number of pixels of each label id in each image.
    """
    rows = []
    for name, masks in counts.items():
        images: collections.Counter[int] = collections.Counter()
        pixels: collections.Counter[int] = collections.Counter()
        for of_label in masks:
            images.update(of_label.keys())
            pixels.update(of_label)
        for label, class_name in enumerate(split.classes):
            role = "unseen" if label in split.unseen else "seen"
            totals = {"images": images[label], "pixels": pixels[label]}
            rows.append({"class": class_name, "role": role, "list": name, **totals})
    storage.write_csv(path, rows)


def _inspect(root: pathlib.Path, entry: layout.Entry, n_classes: int) -> Inspection:
    arrays: dict[str, np.ndarray] = {}
    faults = []
    for name, path, read in (
        ("image", root / entry.image, image_files.read_image),
        ("mask", entry.mask, image_files.read_mask),
    ):
        try:
            arrays[name] = read(path)
        except image_files.ImageError as error:
            faults.append((f"unusable {name}", str(error)))
    pixels: dict[int, int] = {}
    if "mask" in arrays:
        pixels = _count(arrays["mask"])
        invalid_labels = [label for label in pixels if n_classes <= label != label_ids.IGNORE_INDEX]
        if invalid_labels:
            kind = (
                f"label out of range (0 to {n_classes - 1}; to ignore a pixel: {label_ids.IGNORE_IN_8_BITS} in an 8-bit mask, "
                f"{label_ids.IGNORE_INDEX} in a 16-bit mask)"
            )
            faults.append((kind, f"{entry.mask}: {', '.join(map(str, invalid_labels))}"))
    if len(arrays) == 2 and arrays["image"].shape[:2] != arrays["mask"].shape:
        (height, width), (mask_height, mask_width) = arrays["image"].shape[:2], arrays["mask"].shape
        detail = f"{entry.image} is {width} x {height}, {entry.mask} is {mask_width} x {mask_height}"
        faults.append(("image and mask differ in size", detail))
    return Inspection(pixels, tuple(faults))


def _count(mask: np.ndarray) -> dict[int, int]:
    """Return the number of pixels of each label id in a mask (H, W) uint16, in the order of the ids."""
    counts = np.bincount(mask.ravel())
    labels = np.flatnonzero(counts)
    return dict(zip(labels.tolist(), counts[labels].tolist(), strict=True))


def _unseen_labels(classes: tuple[str, ...], names: tuple[str, ...], faults: errors.Faults) -> tuple[int, ...]:
    labels = []
    for name in names:
        if name not in classes:
            containing = [class_name for class_name in classes if name and name.lower() in class_name]
            close = containing or difflib.get_close_matches(name, classes, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            faults.add("unseen class is not in the class list", f"`{name}`{hint}")
        elif classes.index(name) == label_ids.BACKGROUND:
            faults.add("the background (label 0) cannot be unseen", f"`{name}`")
        elif classes.index(name) in labels:
            faults.add("unseen class named twice", f"`{name}`")
        else:
            labels.append(classes.index(name))
    return tuple(sorted(labels))


def _items(entries: Iterable[layout.Entry]) -> tuple[splits.Item, ...]:
    return tuple(splits.Item(entry.id, entry.image) for entry in sorted(entries, key=lambda entry: entry.id))
