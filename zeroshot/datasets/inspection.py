"""Decoding the images and masks of a dataset: what each mask shows, and the faults of each pair."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from zeroshot.base import parallel
from zeroshot.datasets import layout, palettes
from zeroshot.images import grids, image_files, label_ids


@dataclasses.dataclass(frozen=True)
class Inspection:
    """Result of decoding an entry.

    Attributes:
        pixels: number of mask pixels of each label id in the mask.
        cells: number of cells of the feature map of each label id that has any.
        colours: the colour of each label id in the mask, as `palettes.used` returns it.
        faults: (kind, detail) of each fault.
    """

    pixels: dict[int, int]
    cells: dict[int, int]
    colours: palettes.Palette | None = None
    faults: tuple[tuple[str, str], ...] = ()


Inspected = list[tuple[layout.Entry, Inspection]]


def inspect(
    root: pathlib.Path, entries: Iterable[layout.Entry], n_classes: int, workers: int
) -> Iterator[tuple[layout.Entry, Inspection]]:
    """Decode the image and the mask of every entry in `workers` threads; yield in the order of `entries`."""

    def inspect_one(entry: layout.Entry) -> tuple[layout.Entry, Inspection]:
        return entry, _inspect(root, entry, n_classes)

    return parallel.in_order(inspect_one, entries, workers)


def _inspect(root: pathlib.Path, entry: layout.Entry, n_classes: int) -> Inspection:
    faults = []
    image = mask = palette = None
    try:
        image = image_files.read_image(root / entry.image)
    except image_files.ImageError as error:
        faults.append(("unusable image", str(error)))
    if entry.mask is not None:
        try:
            mask, palette = image_files.read_coloured_mask(entry.mask)
        except image_files.ImageError as error:
            faults.append(("unusable mask", str(error)))
    pixels: dict[int, int] = {}
    cells: dict[int, int] = {}
    if mask is not None:
        pixels, cells = count(mask), count(grids.downsample(mask, grids.STRIDE))
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
    return Inspection(pixels, cells, palettes.used(palette, pixels), tuple(faults))


def count(mask: np.ndarray) -> dict[int, int]:
    """Return the number of pixels of each label id in a mask (H, W) uint16, in the order of the ids."""
    counts = np.bincount(mask.ravel())
    labels = np.flatnonzero(counts)
    return dict(zip(labels.tolist(), counts[labels].tolist(), strict=True))
