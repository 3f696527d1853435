"""Checking a dataset and sorting its images into train, unlabelled and val (docs/protocol.md)."""

import collections
import difflib
import pathlib
from collections.abc import Iterable, Sequence, Set

from zeroshot.base import errors, progress
from zeroshot.datasets import inspection, layout, lists, palettes, splits
from zeroshot.images import grids, label_ids

# A class with fewer cells of the feature map than a distance between two features needs cannot be learnt.
MIN_CELLS = 2


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
    classes = lists.read_classes(root, settings.classes, faults)
    unseen = _unseen_labels(classes, layout.unseen_names(settings), faults) if classes else ()
    train = layout.find_train(root, labels, settings, faults)
    # Images that cannot be used may be the ones that a class needs.
    complete = not faults
    val = layout.find_val(root, labels, settings, faults)
    unlabelled = layout.find_unlabelled(root, settings, {entry.id for entry in train + val}, faults)
    entries = train + val + unlabelled
    inspections = inspection.inspect(root, entries, len(classes) or label_ids.MAX_CLASSES, workers)
    inspected = list(progress.track(inspections, "check images and masks", total=len(entries)))
    for entry, result in inspected:
        for kind, detail in result.faults:
            faults.add(kind, detail)
        if settings.background is None and label_ids.BACKGROUND in result.pixels:
            kind = f"label {label_ids.BACKGROUND} in a mask, and data.background is null (set it to label_0, or ignore those pixels)"
            faults.add(kind, str(entry.mask))
    colours = ((entry.mask, result.colours) for entry, result in inspected)
    agree = palettes.check(colours, [label_ids.IGNORE_INDEX], faults)
    training = inspected[: len(train)]
    split = build(settings, classes, unseen, training, val, unlabelled)
    # A mask that numbers the classes differently seems to lack some of them.
    if complete and agree and not any(result.faults for _, result in training):
        check_training(split, training, faults)
    faults.raise_any(str(root))
    return split, {entry.id: entry for entry in entries}


def build(
    settings: layout.Params,
    classes: tuple[str, ...],
    unseen: tuple[int, ...],
    train: inspection.Inspected,
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
    first = 0 if settings.background else 1
    seen = tuple(label for label in range(first, len(classes)) if label not in unseen)
    train_entries, unlabelled = [], list(unlabelled)
    for entry, result in train:
        has_unseen = not result.pixels.keys().isdisjoint(unseen)
        if has_unseen:
            unlabelled.append(entry)
        if not result.pixels.keys().isdisjoint(seen) and not (has_unseen and settings.exclude == "images"):
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


def check_training(split: splits.Split, train: inspection.Inspected, faults: errors.Faults) -> None:
    """Check that training images are left, and that every seen class has pixels and enough cells in them.

    Args:
        split: the split of `train`.
        train: entries of the training lists and their inspections.
        faults: receives all faults.
    """
    ids = {item.id for item in split.train}
    used = [result for entry, result in train if entry.id in ids]
    if not used:
        faults.add("no training image is left", _describe_unused(split, [result.pixels.keys() for _, result in train]))
        return
    pixels, cells = collections.Counter[int](), collections.Counter[int]()
    for result in used:
        pixels.update(result.pixels)
        cells.update(result.cells)
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


def _describe_unused(split: splits.Split, labels: Sequence[Set[int]]) -> str:
    """Return why no training image can be used, and what to do.

    Args:
        split: gives the roles of the classes.
        labels: the label ids in the mask of each training image.
    """
    n_unseen = sum(not of_image.isdisjoint(split.unseen) for of_image in labels)
    n_ignored = sum(of_image <= {label_ids.IGNORE_INDEX} for of_image in labels)
    causes = []
    if n_unseen:
        has_both = any(
            not of_image.isdisjoint(split.unseen) and not of_image.isdisjoint(split.seen) for of_image in labels
        )
        # With `exclude: pixels`, no image has both.
        remedy = "declare fewer classes unseen" + (", or set data.exclude: pixels" if has_both else "")
        causes.append(f"{n_unseen} of {len(labels)} images contain an unseen class; {remedy}")
    if n_ignored:
        causes.append(
            f"{n_ignored} of {len(labels)} masks are ignored everywhere; write the label ids of their classes into them"
        )
    return ". ".join(causes)


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
