"""Checking a dataset and sorting its images into train, unlabelled and val (docs/protocol.md)."""

import collections
import dataclasses
import difflib
import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from zeroshot.base import errors, progress
from zeroshot.datasets import inspection, layout, lists, palettes, splits
from zeroshot.images import grids, label_ids

# A class with fewer cells of the feature map than a distance between two features needs cannot be learnt.
MIN_CELLS = 2


@dataclasses.dataclass(frozen=True)
class Roles:
    """The label ids of classes with a role of their own, in ascending order; all others are `train_seen` (`splits.Split`)."""

    unseen: tuple[int, ...]
    train_unseen: tuple[int, ...] = ()


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
    roles = _roles(classes, settings, faults) if classes else Roles(())
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
    # A mask that numbers the classes differently seems to lack some of them.
    if complete and agree and training and not any(result.faults for _, result in training):
        check_training(split, training, faults)
    faults.raise_any(str(root))
    kept = {entry.id: entry for entry in (*(entry for entry, _ in (*training, *evaluation)), *unlabelled)}
    return Partition(split, stage_one(split, training), kept, len(entries) - len(kept))


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
    roles: Roles,
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


def check_training(split: splits.Split, train: inspection.Inspected, faults: errors.Faults) -> None:
    """Check that training images are left, and that every seen class has pixels and enough cells in them.

    The classes of `train_seen` need them in the images of stage one.

    Args:
        split: the split of `train`.
        train: entries of the training lists and their inspections.
        faults: receives all faults.
    """
    ids = {item.id for item in split.train}
    used = [result for entry, result in train if entry.id in ids]
    if not used:
        cause = _describe_unused("unseen", split.unseen, split.seen, [result for _, result in train])
        faults.add("no training image is left", cause)
        return
    if not split.train_unseen:
        _check_shown(split.classes, split.seen, used, "seen class{} in train", faults)
        return
    _check_shown(split.classes, split.train_unseen, used, "train_unseen class{} in train", faults)
    ids = {item.id for item in stage_one(split, train)}
    if not ids:
        cause = _describe_unused("train_unseen", split.train_unseen, split.train_seen, used)
        faults.add("no training image is left for the network", cause)
        return
    first = [result for entry, result in train if entry.id in ids]
    where = "seen class{} in the training images without a train_unseen class"
    _check_shown(split.classes, split.train_seen, first, where, faults)


def _is_usable(
    result: inspection.Inspection,
    labels: Collection[int],
    others: Collection[int],
    exclude: Literal["images", "pixels"],
) -> bool:
    """Return whether an image teaches classes `labels`: it shows one of them and, if whole images are excluded, none of `others`."""
    shown = result.pixels.keys()
    return not shown.isdisjoint(labels) and (exclude == "pixels" or shown.isdisjoint(others))


def _check_shown(
    classes: Sequence[str],
    labels: Iterable[int],
    results: Iterable[inspection.Inspection],
    kind: str,
    faults: errors.Faults,
) -> None:
    """Check that each of `labels` has pixels and enough cells in `results`; `kind` says which class where, with `{}` for what it lacks."""
    pixels, cells = collections.Counter[int](), collections.Counter[int]()
    for result in results:
        pixels.update(result.pixels)
        cells.update(result.cells)
    for label in labels:
        name = f"{classes[label]} (label {label})"
        if not pixels[label]:
            faults.add(f"{kind.format(' without a pixel')} (declare it unseen or give it images)", name)
        elif cells[label] < MIN_CELLS:
            too_few = kind.format(f" with fewer than {MIN_CELLS} cells of the feature map")
            faults.add(
                f"{too_few}, since its objects are too small (a cell "
                f"has {grids.STRIDE} x {grids.STRIDE} pixels and the label of its centre; give the class larger objects or more "
                "images, enlarge images and masks, or join the class to another)",
                f"{name}: {pixels[label]:,} pixels, {cells[label]} cells",
            )


def _describe_unused(
    role: str, others: Collection[int], labels: Collection[int], results: Sequence[inspection.Inspection]
) -> str:
    """Return why no training image can be used, and what to do.

    Args:
        role: role of `others`.
        others: label ids of the classes whose images are excluded.
        labels: label ids of the classes to be learnt.
        results: the inspection of each training image.
    """
    shown = [result.pixels.keys() for result in results]
    n_others = sum(not of_image.isdisjoint(others) for of_image in shown)
    n_ignored = sum(of_image <= {label_ids.IGNORE_INDEX} for of_image in shown)
    causes = []
    if n_others:
        has_both = any(not of_image.isdisjoint(others) and not of_image.isdisjoint(labels) for of_image in shown)
        # With `exclude: pixels`, no image has both.
        remedy = f"declare fewer classes {role}" + (", or set data.exclude: pixels" if has_both else "")
        article = "an" if role == "unseen" else "a"
        causes.append(f"{n_others} of {len(shown)} images contain {article} {role} class; {remedy}")
    if n_ignored:
        causes.append(
            f"{n_ignored} of {len(shown)} masks are ignored everywhere; write the label ids of their classes into them"
        )
    return ". ".join(causes)


def _roles(classes: tuple[str, ...], settings: layout.Params, faults: errors.Faults) -> Roles:
    unseen = _labels("unseen", classes, layout.unseen_names(settings), faults)
    train_unseen = _labels("train_unseen", classes, settings.train_unseen, faults)
    for label in sorted({*unseen} & {*train_unseen}):
        faults.add("class that is both unseen and train_unseen (it can have one role)", f"`{classes[label]}`")
    return Roles(unseen, tuple(label for label in train_unseen if label not in unseen))


def _labels(role: str, classes: tuple[str, ...], names: Iterable[str], faults: errors.Faults) -> tuple[int, ...]:
    """Return the label ids, in ascending order, of the classes with a role; names that are wrong are faults."""
    labels = []
    for name in names:
        if name not in classes:
            containing = [class_name for class_name in classes if name and name.lower() in class_name]
            close = containing or difflib.get_close_matches(name, classes, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            faults.add(f"{role} class is not in the class list", f"`{name}`{hint}")
        elif classes.index(name) == label_ids.BACKGROUND:
            faults.add(f"the background (label 0) cannot be {role}", f"`{name}`")
        elif classes.index(name) in labels:
            faults.add(f"{role} class named twice", f"`{name}`")
        else:
            labels.append(classes.index(name))
    return tuple(sorted(labels))


def _items(entries: Iterable[layout.Entry]) -> tuple[splits.Item, ...]:
    return tuple(splits.Item(entry.id, entry.image) for entry in sorted(entries, key=lambda entry: entry.id))
