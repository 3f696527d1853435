"""Checking a dataset and sorting its images into train, unlabelled and val (docs/protocol.md)."""

import collections
import dataclasses
import difflib
import pathlib
import statistics
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from zeroshot.base import errors, parallel, progress, storage
from zeroshot.datasets import layout, splits
from zeroshot.images import grids, image_files, label_ids

# A class with fewer cells of the feature map than a distance between two features needs cannot be learnt.
MIN_CELLS = 2


@dataclasses.dataclass(frozen=True)
class Inspection:
    """Result of decoding an entry.

    Attributes:
        pixels: number of mask pixels of each label id in the mask.
        cells: number of cells of the feature map of each label id that has any.
        colours: the colour of each label id in the mask, by its palette; None if the mask has no colours.
        faults: (kind, detail) of each fault.
    """

    pixels: dict[int, int]
    cells: dict[int, int]
    colours: dict[int, list[int]] | None = None
    faults: tuple[tuple[str, str], ...] = ()


Inspected = list[tuple[layout.Entry, Inspection]]


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
        errors.DatasetError: if the dataset has faults; the text lists all of them, but none that only follows from another.
    """
    faults = errors.Faults()
    layout.check_links(root, layout.paths(settings), faults)
    classes = layout.read_classes(root, settings.classes, faults)
    unseen = _unseen_labels(classes, layout.unseen_names(settings), faults) if classes else ()
    train = layout.find_train(root, labels, settings, faults)
    # Images that cannot be used may be the ones that a class needs.
    complete = not faults
    val = layout.find_val(root, labels, settings, faults)
    unlabelled = layout.find_unlabelled(root, settings, {entry.id for entry in train + val}, faults)
    entries = train + val + unlabelled
    inspections = inspect(root, entries, len(classes) or label_ids.MAX_CLASSES, workers)
    inspected = list(progress.track(inspections, "check images and masks", total=len(entries)))
    for _, inspection in inspected:
        for kind, detail in inspection.faults:
            faults.add(kind, detail)
    check_colours(inspected, faults)
    training = inspected[: len(train)]
    split = build(settings, classes, unseen, training, val, unlabelled)
    if complete and not any(inspection.faults for _, inspection in training):
        check_training(split, training, faults)
    faults.raise_any(str(root))
    return split, {entry.id: entry for entry in entries}


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
    unseen: tuple[int, ...],
    train: Inspected,
    val: Iterable[layout.Entry],
    unlabelled: Iterable[layout.Entry],
) -> splits.Split:
    """Sort entries into a split.

    A training image with pixels of an unseen class goes to `unlabelled`. With `exclude: pixels` it also stays in `train`, and those pixels
    are ignored. A training image without pixels of a seen class is not in `train`.

    Args:
        settings: section `data`.
        classes: class names in label order.
        unseen: label ids in ascending order.
        train: entries of the training lists and their inspections.
        val: entries of the validation list.
        unlabelled: entries of the list of unlabelled images.
    """
    seen = tuple(label for label in range(len(classes)) if label not in unseen)
    train_entries, unlabelled = [], list(unlabelled)
    for entry, inspection in train:
        has_unseen = not inspection.pixels.keys().isdisjoint(unseen)
        if has_unseen:
            unlabelled.append(entry)
        if not inspection.pixels.keys().isdisjoint(seen) and not (has_unseen and settings.exclude == "images"):
            train_entries.append(entry)
    return splits.Split(
        classes=classes,
        seen=seen,
        unseen=unseen,
        exclude=settings.exclude,
        train=_items(train_entries),
        unlabelled=_items(unlabelled),
        val=_items(val),
    )


def check_training(split: splits.Split, train: Inspected, faults: errors.Faults) -> None:
    """Check that training images are left, and that every seen class has pixels and enough cells in them.

    Args:
        split: the split of `train`.
        train: entries of the training lists and their inspections.
        faults: receives all faults.
    """
    ids = {item.id for item in split.train}
    used = [inspection for entry, inspection in train if entry.id in ids]
    if not used:
        n_unseen = sum(not inspection.pixels.keys().isdisjoint(split.unseen) for _, inspection in train)
        faults.add(
            "no training image is left",
            f"{n_unseen} of {len(train)} images contain an unseen class; "
            "declare fewer classes unseen, or set data.exclude: pixels",
        )
        return
    pixels, cells = collections.Counter[int](), collections.Counter[int]()
    for inspection in used:
        pixels.update(inspection.pixels)
        cells.update(inspection.cells)
    for label in split.seen:
        name = f"{split.classes[label]} (label {label})"
        if not pixels[label]:
            faults.add("seen class without a pixel in train (declare it unseen or give it images)", name)
        elif cells[label] < MIN_CELLS:
            faults.add(
                f"seen class with fewer than {MIN_CELLS} cells of the feature map in train, since its objects are too small (a cell "
                f"has {grids.STRIDE} x {grids.STRIDE} pixels and the label of its centre; give the class larger objects or more "
                "images, enlarge images and masks, or join the class to another)",
                f"{name}: {pixels[label]:,} pixels, {cells[label]} cells",
            )


def check_colours(inspected: Inspected, faults: errors.Faults) -> None:
    """Check that each label has one colour in all masks that have colours; else the label ids of some mask mean other classes.

    Args:
        inspected: entries and their inspections.
        faults: receives one fault for each label with two colours.
    """
    first: dict[int, tuple[pathlib.Path | None, list[int]]] = {}
    reported = set()
    for entry, inspection in inspected:
        if inspection.colours is None:
            continue
        for label, colour in inspection.colours.items():
            if label == label_ids.IGNORE_INDEX:
                continue
            mask, expected = first.setdefault(label, (entry.mask, colour))
            if colour != expected and label not in reported:
                reported.add(label)
                faults.add(
                    "label with different colours in two masks, so one of them may number the classes differently (write all masks with "
                    "one palette, or in grey)",
                    f"label {label}: RGB {expected} in {mask}, {colour} in {entry.mask}",
                )


def write_masks(
    root: pathlib.Path,
    folder: str | pathlib.Path,
    entries: Iterable[layout.Entry],
    ignored: tuple[int, ...],
    workers: int,
) -> Iterator[tuple[str, dict[int, int]]]:
    """Write the masks of `entries` as `folder`/<id>.png; the folder is replaced when all are written.

    The mask of an entry without one is `label_ids.IGNORE_INDEX` everywhere.

    Args:
        root: the data root.
        folder: replaced with all its files, so that no mask of an earlier split remains.
        entries: the entries whose masks are written.
        ignored: labels that are written as `label_ids.IGNORE_INDEX`.
        workers: number of threads.

    Yields:
        id of each mask, and the number of pixels of each label id in it.
    """
    with storage.replacing_folder(folder) as unfinished:

        def write(entry: layout.Entry) -> tuple[str, dict[int, int]]:
            if entry.mask is None:
                mask = np.full(image_files.read_size(root / entry.image), label_ids.IGNORE_INDEX, label_ids.DTYPE)
            else:
                mask = image_files.read_mask(entry.mask)
            mask[np.isin(mask, ignored)] = label_ids.IGNORE_INDEX
            image_files.write_mask(unfinished / f"{entry.id}.png", mask)
            return entry.id, _count(mask)

        yield from parallel.in_order(write, entries, workers)


def checksums(root: pathlib.Path, split: splits.Split, workers: int) -> dict[str, str]:
    """Return the SHA-256 of the file of every image of a split, by its path below the data root, sorted."""
    paths = sorted({item.image for item in (*split.train, *split.unlabelled, *split.val)})
    found = parallel.in_order(lambda path: storage.sha256(root / path), paths, workers)
    return dict(zip(paths, found, strict=True))


def typical_side(root: pathlib.Path, items: Sequence[splits.Item]) -> int:
    """Return the median of the longest sides of images in pixels."""
    return round(statistics.median(max(image_files.read_size(root / item.image)) for item in items))


def write_counts(path: str | pathlib.Path, split: splits.Split, counts: dict[str, list[dict[int, int]]]) -> None:
    """Write a table of images and pixels per list and class, for human readers; no stage may read it.

    Args:
        path: the CSV file.
        split: the split, for class names and roles.
        counts: list name -> number of pixels of each label id in each image.
    """
    rows = []
    for name, masks in counts.items():
        images, pixels = collections.Counter[int](), collections.Counter[int]()
        for of_label in masks:
            images.update(of_label.keys())
            pixels.update(of_label)
        for label, class_name in enumerate(split.classes):
            role = "unseen" if label in split.unseen else "seen"
            totals = {"images": images[label], "pixels": pixels[label]}
            rows.append({"class": class_name, "role": role, "list": name, **totals})
    storage.write_csv(path, rows)


def _inspect(root: pathlib.Path, entry: layout.Entry, n_classes: int) -> Inspection:
    faults = []
    image = mask = colours = None
    try:
        image = image_files.read_image(root / entry.image)
    except image_files.ImageError as error:
        faults.append(("unusable image", str(error)))
    if entry.mask is not None:
        try:
            mask, colours = image_files.read_coloured_mask(entry.mask)
        except image_files.ImageError as error:
            faults.append(("unusable mask", str(error)))
    pixels: dict[int, int] = {}
    cells: dict[int, int] = {}
    if mask is not None:
        pixels, cells = _count(mask), _count(grids.downsample(mask, grids.STRIDE))
        invalid_labels = [label for label in pixels if n_classes <= label != label_ids.IGNORE_INDEX]
        if invalid_labels:
            kind = (
                f"label out of range (0 to {n_classes - 1}; to ignore a pixel: {label_ids.IGNORE_IN_8_BITS} in an 8-bit mask, "
                f"{label_ids.IGNORE_INDEX} in a 16-bit mask)"
            )
            faults.append((kind, f"{entry.mask}: {', '.join(map(str, invalid_labels))}"))
    if image is not None and mask is not None and image.shape[:2] != mask.shape:
        (height, width), (mask_height, mask_width) = image.shape[:2], mask.shape
        detail = f"{entry.image} is {width} x {height}, {entry.mask} is {mask_width} x {mask_height}"
        faults.append(("image and mask differ in size", detail))
    if colours is not None:
        colours = {label: colours[label] for label in pixels}
        # A grey palette, like a mask in grey, says nothing about classes.
        if all(len(set(colour)) == 1 for colour in colours.values()):
            colours = None
    return Inspection(pixels, cells, colours, tuple(faults))


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
