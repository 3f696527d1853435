"""Shards of whole feature maps, with the masks at full resolution, for evaluation."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from zeroshot.base import hdf5, storage
from zeroshot.cache import index as shard_index
from zeroshot.cache import stored_features
from zeroshot.images import label_ids


@dataclasses.dataclass(frozen=True)
class Map:
    """The features (h, w, d) float16 and the mask (H, W) uint16 of one image, with the margin of `Index` if there is one."""

    image: str
    features: np.ndarray
    mask: np.ndarray


def write(
    path: pathlib.Path,
    images: list[int],
    features: list[np.ndarray],
    masks: list[np.ndarray],
    storage_format: stored_features.Storage = "float16",
) -> None:
    """Write one shard.

    Args:
        path: the file, replaced as a whole.
        images: number of each image in the index.
        features: of each image, (h, w, d) float16.
        masks: of each image, (H, W) uint16.
        storage_format: the number format of the features in the file.
    """
    shapes = [(*cells.shape[:2], *mask.shape) for cells, mask in zip(features, masks, strict=True)]
    with storage.replacing(path) as temporary:
        with hdf5.writing(temporary) as file:
            # No variable holds the joined copies, so that they are freed before the file is written.
            cells = [one.reshape(-1, one.shape[-1]) for one in features]
            stored_features.write(file, np.concatenate(cells), storage_format)
            labels = [mask.ravel() for mask in masks]
            file.create_dataset("mask", data=np.concatenate(labels), dtype=label_ids.DTYPE, track_times=False)
            file.create_dataset("image", data=images, dtype=np.int32, track_times=False)
            file.create_dataset("shape", data=shapes, dtype=np.int32, track_times=False)
        shard_index.check_written(temporary, sum(h * w for h, w, *_ in shapes))


def read(folder: str | pathlib.Path, images: Collection[str] | None = None) -> Iterator[Map]:
    """Yield the maps of a cache one by one, in the order of the index, with one image in memory at a time.

    Args:
        folder: the cache, for example `features/val`.
        images: ids of the images to yield, None for all; shards without any of them are not read.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    folder = pathlib.Path(folder)
    index = shard_index.read(folder, "maps")
    for shard in index.shards:
        if images is not None:
            with hdf5.reading(folder / shard["file"]) as file:
                if not any(index.images[image] in images for image in file["image"][:]):
                    continue
        with hdf5.reading(shard_index.verify(folder, shard)) as file:
            cell = 0
            for (image, mask), (h, w, *_) in zip(_masks(file, index), file["shape"][:].tolist(), strict=True):
                if images is None or image in images:
                    yield Map(image, stored_features.read(file, slice(cell, cell + h * w)).reshape(h, w, -1), mask)
                cell += h * w


def read_masks(folder: str | pathlib.Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the images of a cache with their masks (H, W) uint16, in the order of `read`, without reading the features.

    Checksums are not verified, since that would read whole shards. The size of every shard is checked.

    Raises:
        shard_index.ShardError: if the cache is missing or truncated.
    """
    folder = pathlib.Path(folder)
    index = shard_index.read(folder, "maps")
    for shard in index.shards:
        with hdf5.reading(folder / shard["file"]) as file:
            yield from _masks(file, index)


def _masks(file: Mapping[str, hdf5.Column], index: shard_index.Index) -> Iterator[tuple[str, np.ndarray]]:
    pixel = 0
    for image, (_, _, height, width) in zip(file["image"][:], file["shape"][:].tolist(), strict=True):
        yield index.images[image], file["mask"][pixel : pixel + height * width].reshape(height, width)
        pixel += height * width
