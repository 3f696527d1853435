"""Whether the images of a split can teach its classes: each needs pixels, and cells of the feature map."""

import collections
from collections.abc import Collection, Iterable, Sequence

from zeroshot.base import errors
from zeroshot.datasets import inspection, splits
from zeroshot.images import grids, label_ids

# A class with fewer cells of the feature map than a distance between two features needs cannot be learnt.
MIN_CELLS = 2


def check(
    split: splits.Split, stage_one: Iterable[splits.Item], train: inspection.Inspected, faults: errors.Faults
) -> None:
    """Check that training images are left, and that every seen class has pixels and enough cells in them.

    The classes of `train_seen` need them in the images of stage one.

    Args:
        split: the split of `train`.
        stage_one: the training images for the network.
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
    ids = {item.id for item in stage_one}
    if not ids:
        cause = _describe_unused("train_unseen", split.train_unseen, split.train_seen, used)
        faults.add("no training image is left for the network", cause)
        return
    first = [result for entry, result in train if entry.id in ids]
    where = "seen class{} in the training images without a train_unseen class"
    _check_shown(split.classes, split.train_seen, first, where, faults)


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
