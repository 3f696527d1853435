"""Masks for training the whole network on pseudo-labels: those of the training images, and sparse ones of the unlabelled."""

import pathlib
import shutil
from collections.abc import Iterable, Sequence

import numpy as np

from zeroshot.cache import rows
from zeroshot.datasets import splits
from zeroshot.images import grids, image_files, label_ids


def write(
    folder: pathlib.Path,
    split: splits.Split,
    data: pathlib.Path,
    masks: pathlib.Path,
    pseudo: Iterable[rows.Rows],
    names: Sequence[str],
    stride: int,
) -> list[splits.Item]:
    """Write a mask for every image to train on.

    A pseudo-label fills the pixels of its cell; all other pixels of an unlabelled image are 255, or, where the image is a training image
    too (data.exclude: pixels), as in its own mask, which pseudo-labels never overrule.

    Args:
        folder: where the masks go, <id>.png.
        split: which images there are.
        data: the data set's root, for the size of the unlabelled images.
        masks: the masks of the training images.
        pseudo: shards of pseudo-labelled pixels, all those of an image in one.
        names: the id of each image that their rows number.
        stride: pixels between neighbouring cells.

    Returns:
        the images that have a mask: the training images, then those of the unlabelled list alone that have a pseudo-label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for item in split.train:
        shutil.copyfile(masks / f"{item.id}.png", folder / f"{item.id}.png")
    own = {item.id for item in split.train}
    unlabelled = {item.id: item for item in split.unlabelled}
    added = []
    for shard in pseudo:
        for number in map(int, np.unique(shard["image"])):
            item = unlabelled[names[number]]
            if item.id in own:
                mask = image_files.read_mask(masks / f"{item.id}.png")
            else:
                mask = np.full(image_files.read_size(data / item.image), label_ids.IGNORE_INDEX, np.uint8)
                added.append(item)
            chosen = shard["image"] == number
            sparse = spread(shard["position"][chosen], shard["label"][chosen], mask.shape, stride)
            image_files.write_mask(
                folder / f"{item.id}.png", np.where(mask == label_ids.IGNORE_INDEX, sparse, mask).astype(np.uint8)
            )
    return [*split.train, *added]


def spread(position: np.ndarray, labels: np.ndarray, size: tuple[int, int], stride: int) -> np.ndarray:
    """Return a mask of `size` (H, W) uint8 in which every pixel has the label of its cell, 255 where that has none.

    Args:
        position: (n, 2) cells (y, x).
        labels: (n,) uint8.
        size: height and width of the image.
        stride: pixels between neighbouring cells.
    """
    h, w = grids.map_size(*size, stride)
    cells = np.full((h, w), label_ids.IGNORE_INDEX, np.uint8)
    cells[tuple(position.astype(np.int64).T)] = labels
    y, x = ((2 * np.arange(side) + 1) * n // (2 * side) for side, n in zip(size, (h, w), strict=True))
    return cells[np.ix_(y, x)]
