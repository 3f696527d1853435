"""Masks for training the whole network on pseudo-labels: full masks of training images, sparse masks of unlabelled images."""

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

    A pseudo-label fills the pixels of its cell; all other pixels of an unlabelled image are ignored. An unlabelled image may be a training
    image too (data.exclude: pixels); then pseudo-labels fill only those pixels that are ignored in its training mask.

    Args:
        folder: output folder of the masks, <id>.png.
        split: the training and unlabelled images.
        data: root of the data set, to read the size of unlabelled images.
        masks: the masks of the training images.
        pseudo: shards of pseudo-labelled pixels; all pixels of an image are in one shard.
        names: image ids, indexed by the column `image` of the shards.
        stride: pixels between neighbouring cells.

    Returns:
        the images that have a mask: the training images, then the other unlabelled images with a pseudo-label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for item in split.train:
        shutil.copyfile(masks / f"{item.id}.png", folder / f"{item.id}.png")
    training_ids = {item.id for item in split.train}
    unlabelled = {item.id: item for item in split.unlabelled}
    added = []
    for shard in pseudo:
        for number in map(int, np.unique(shard["image"])):
            item = unlabelled[names[number]]
            if item.id in training_ids:
                mask = image_files.read_mask(masks / f"{item.id}.png")
            else:
                mask = np.full(image_files.read_size(data / item.image), label_ids.IGNORE_INDEX, label_ids.DTYPE)
                added.append(item)
            chosen = shard["image"] == number
            sparse = spread(shard["position"][chosen], shard["label"][chosen], mask.shape, stride)
            mask = np.where(mask == label_ids.IGNORE_INDEX, sparse, mask)
            image_files.write_mask(folder / f"{item.id}.png", mask)
    return [*split.train, *added]


def spread(position: np.ndarray, labels: np.ndarray, size: tuple[int, int], stride: int) -> np.ndarray:
    """Return a mask of `size` (H, W) uint16: every pixel has the label of its cell, or `IGNORE_INDEX` if the cell has none.

    Args:
        position: (n, 2) cells (y, x).
        labels: (n,) uint16.
        size: height and width of the image.
        stride: pixels between neighbouring cells.
    """
    h, w = grids.map_size(*size, stride)
    cells = np.full((h, w), label_ids.IGNORE_INDEX, label_ids.DTYPE)
    cells[tuple(position.astype(np.int64).T)] = labels
    return cells.repeat(stride, axis=0).repeat(stride, axis=1)[: size[0], : size[1]]
