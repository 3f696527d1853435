"""Checking a dataset and sorting its images into train, unlabelled and val (docs/protocol.md)."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterable
from typing import Literal

from zeroshot.base import errors, progress
from zeroshot.datasets import class_roles, coverage, inspection, layout, lists, palettes, splits
from zeroshot.images import label_ids


@dataclasses.dataclass(frozen=True)
class Partition:
    """A checked dataset.

    Attributes:
        split: its split.
        stage_one: the training images for the network, sorted by id.
        entries: the entries by id.
        n_dropped: number of images that are left out, since their masks have ignored pixels (`data.drop_partly_labelled`).
    """

    split: splits.Split
    stage_one: tuple[splits.Item, ...]
    entries: dict[str, layout.Entry]
    n_dropped: int


def check(root: pathlib.Path, labels: pathlib.Path, settings: layout.Params, workers: int) -> Partition:
    """Find and decode all images and masks, and sort them into a split.

    Args:
        root: the data root.
        labels: folder of converted masks.
        settings: section `data`.
        workers: number of threads.

    Raises:
        errors.DatasetError: if the dataset has faults; the text lists all of them, but none that only follows from another.
    """
    faults = errors.Faults()
    layout.check_links(root, layout.paths(settings), faults)
    classes = lists.read_classes(root, settings.classes, faults)
    roles = class_roles.find(classes, settings, faults) if classes else class_roles.Roles(())
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
    lists_of = {"training": inspected[: len(train)], "evaluation": inspected[len(train) : len(train) + len(val)]}
    if settings.drop_partly_labelled:
        lists_of = {name: _whole(name, items, faults) for name, items in lists_of.items()}
    training, evaluation = lists_of["training"], lists_of["evaluation"]
    split = build(settings, classes, roles, training, [entry for entry, _ in evaluation], unlabelled)
    first = stage_one(split, training)
    # A mask that numbers the classes differently seems to lack some of them.
    if complete and agree and training and not any(result.faults for _, result in training):
        coverage.check(split, first, training, faults)
    faults.raise_any(str(root))
    kept = {entry.id: entry for entry in (*(entry for entry, _ in (*training, *evaluation)), *unlabelled)}
    return Partition(split, first, kept, len(entries) - len(kept))


def _whole(name: str, inspected: inspection.Inspected, faults: errors.Faults) -> inspection.Inspected:
    """Return those of the images `name` whose masks have no ignored pixel; it is a fault if there are none, though there are images."""
    whole = [(entry, result) for entry, result in inspected if label_ids.IGNORE_INDEX not in result.pixels]
    if inspected and not whole:
        kind = "every mask has an ignored pixel, and data.drop_partly_labelled leaves such images out (set it to false)"
        faults.add(kind, f"all {len(inspected)} {name} images")
    return whole


def build(
    settings: layout.Params,
    classes: tuple[str, ...],
    roles: class_roles.Roles,
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
        roles: label ids of unseen and train_unseen classes.
        train: entries of the training lists and their inspections.
        val: entries of the validation list.
        unlabelled: entries of the list of unlabelled images.
    """
    first = 0 if settings.background else 1
    seen = tuple(label for label in range(first, len(classes)) if label not in roles.unseen)
    train_entries, unlabelled = [], list(unlabelled)
    for entry, result in train:
        if not result.pixels.keys().isdisjoint(roles.unseen):
            unlabelled.append(entry)
        if _is_usable(result, seen, roles.unseen, settings.exclude):
            train_entries.append(entry)
    return splits.Split(
        classes=classes,
        seen=seen,
        unseen=roles.unseen,
        exclude=settings.exclude,
        train=_items(train_entries),
        unlabelled=_items(unlabelled),
        val=_items(val),
        train_unseen=roles.train_unseen,
    )


def stage_one(split: splits.Split, train: inspection.Inspected) -> tuple[splits.Item, ...]:
    """Return those of `split.train` that the network is trained on, sorted by id.

    An image with pixels of a train_unseen class is none of them. With `exclude: pixels` it is, unless it shows no train_seen class; the
    network then ignores those pixels, since they are labels that it does not know.

    Args:
        split: the split of `train`.
        train: entries of the training lists and their inspections.
    """
    others = (*split.unseen, *split.train_unseen)
    ids = {entry.id for entry, result in train if _is_usable(result, split.train_seen, others, split.exclude)}
    return tuple(item for item in split.train if item.id in ids)


def _is_usable(
    result: inspection.Inspection,
    labels: Collection[int],
    others: Collection[int],
    exclude: Literal["images", "pixels"],
) -> bool:
    """Return whether an image teaches classes `labels`: it shows one of them and, if whole images are excluded, none of `others`."""
    shown = result.pixels.keys()
    return not shown.isdisjoint(labels) and (exclude == "pixels" or shown.isdisjoint(others))


def _items(entries: Iterable[layout.Entry]) -> tuple[splits.Item, ...]:
    return tuple(splits.Item(entry.id, entry.image) for entry in sorted(entries, key=lambda entry: entry.id))
