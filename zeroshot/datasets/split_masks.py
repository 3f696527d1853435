"""The masks of a split, with only the labels that each list may use, and what they show of each class."""

import collections
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from zeroshot.base import parallel, storage
from zeroshot.datasets import inspection, layout, splits
from zeroshot.images import image_files, label_ids


def write(
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

        def write_one(entry: layout.Entry) -> tuple[str, dict[int, int]]:
            if entry.mask is None:
                mask = np.full(image_files.read_size(root / entry.image), label_ids.IGNORE_INDEX, label_ids.DTYPE)
            else:
                mask = image_files.read_mask(entry.mask)
            mask[np.isin(mask, ignored)] = label_ids.IGNORE_INDEX
            image_files.write_mask(unfinished / f"{entry.id}.png", mask)
            return entry.id, inspection.count(mask)

        yield from parallel.in_order(write_one, entries, workers)


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
            role = next((name for name in ("unseen", "train_unseen") if label in getattr(split, name)), "seen")
            totals = {"images": images[label], "pixels": pixels[label]}
            rows.append({"class": class_name, "role": role, "list": name, **totals})
    storage.write_csv(path, rows)


def absent(labels: Sequence[int], counts: Iterable[Mapping[int, int]]) -> tuple[int, ...]:
    """Return those of `labels` that no mask shows.

    Args:
        labels: label ids.
        counts: number of pixels of each label id in each mask.
    """
    shown = {label for of_label in counts for label in of_label}
    return tuple(label for label in labels if label not in shown)
