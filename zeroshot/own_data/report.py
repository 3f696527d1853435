"""What was found in a folder, as a text for people."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tabulate

from zeroshot.own_data import mask_values

# More of a mask than borders of objects take up.
_MUCH = 0.25


@dataclasses.dataclass(frozen=True)
class Summary:
    """Numbers of a prepared data set.

    Attributes:
        numbering: the classes.
        unseen: label ids of the unseen classes.
        shown: id of each image with a mask -> pixels and cells of each label id in it.
        sizes: (height, width) of each image before it is resized.
        lists: `train`, `val` and `unlabelled` -> ids.
        ignored: the share of the pixels of a mask that are ignored, its mean over masks.
        by_255: the same, of those that are ignored because they have the value 255 and no class has it.
    """

    numbering: mask_values.Numbering
    unseen: tuple[int, ...]
    shown: Mapping[str, Mapping[int, tuple[int, int]]]
    sizes: Sequence[tuple[int, int]]
    lists: Mapping[str, Sequence[str]]
    ignored: float = 0.0
    by_255: float = 0.0


def of_255(share: float) -> str:
    """Return what to do if so much is ignored because it has the value 255; nothing where it is as little as borders of objects."""
    if share < _MUCH:
        return ""
    return (
        f"; {100 * share:.0f} % of the pixels of masks have the value 255 and are ignored: if they show a class, write it into the class"
        " list (`255: name`)"
    )


def render(summary: Summary) -> str:
    """Return the report: images, sizes, classes, and how many training images show no unseen class."""
    sides = np.array([max(size) for size in summary.sizes])
    lists = summary.lists
    lines = [
        f"{len(summary.sizes):,} images, {len(summary.shown):,} with masks; longest sides {sides.min()} to {sides.max()}, "
        f"median {int(np.median(sides))} pixels",
        f"train {len(lists['train']):,}, val {len(lists['val']):,}, unlabelled {len(lists['unlabelled']):,} images",
        f"ignored: {100 * summary.ignored:.1f} % of the pixels of masks{of_255(summary.by_255)}",
        "",
        _classes(summary),
        "",
        _clean(summary),
    ]
    return "\n".join(lines)


def _classes(summary: Summary) -> str:
    names, first = summary.numbering.names, 0 if summary.numbering.has_background else 1
    images, pixels, cells = collections.Counter[int](), collections.Counter[int](), collections.Counter[int]()
    for of_image in summary.shown.values():
        for label, (n_pixels, n_cells) in of_image.items():
            images[label] += 1
            pixels[label] += n_pixels
            cells[label] += n_cells
    clean = [of_image for of_image in _training(summary) if not of_image & set(summary.unseen)]
    rows = [
        (
            *(label, names[label], _role(summary, label), images[label], pixels[label], cells[label]),
            sum(label not in of_image for of_image in clean) if _role(summary, label) == "seen" else None,
        )
        for label in range(first, len(names))
    ]
    table = tabulate.tabulate(
        rows, ("label", "class", "role", "images", "pixels", "cells", "left"), intfmt=",", missingval="-"
    )
    return f"{table}\nleft: training images without an unseen class, if this class were unseen too"


def _role(summary: Summary, label: int) -> str:
    if label in summary.unseen:
        return "unseen"
    return "background" if label == 0 else "seen"


def _clean(summary: Summary) -> str:
    """Return how many training images show none of the unseen classes; with data.exclude: images, they are all that is used."""
    labels = _training(summary)
    clean = sum(not of_image & set(summary.unseen) for of_image in labels)
    text = f"{clean:,} of {len(labels):,} training images have no pixel that is labelled as an unseen class"
    absent = _absent(summary, "train")
    if absent:
        text += f"\nin no training mask: {', '.join(absent)}"
    absent = _absent(summary, "val")
    if absent:
        text += (
            f"\nin no evaluation mask: {', '.join(absent)}; they get no IoU"
            + ("" if len(absent) < len(summary.unseen) else ", and there is no hIoU")
            + ". To measure them, draw masks that show them and list these images in val.txt"
        )
    return text


def _training(summary: Summary) -> list[set[int]]:
    """Return the label ids in each training mask."""
    return [set(summary.shown[id]) for id in summary.lists["train"] if id in summary.shown]


def _absent(summary: Summary, name: str) -> list[str]:
    """Return the names of the unseen classes without a pixel in the masks of a list."""
    shown = {label for id in summary.lists[name] if id in summary.shown for label in summary.shown[id]}
    return [summary.numbering.names[label] for label in summary.unseen if label not in shown]
