"""Regions of evaluation images: boxes, features and pooled maps for masks, all that detection needs without the network."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from zeroshot.base import errors, hdf5, storage
from zeroshot.cache import index as shard_index
from zeroshot.zsi import detector as zsi_detector
from zeroshot.zsi import inference, mask_head

# Columns with a row for each region, and with a row for each image.
_OF_REGIONS = {"features": np.float16, "boxes": np.float32, "mask_features": np.float16}
_OF_IMAGES = {"image": np.int32, "count": np.int32, "resized": np.int32, "size": np.int32}


@dataclasses.dataclass(frozen=True)
class EvaluationRegions:
    """The regions of one image; n regions, surest first.

    Attributes:
        features: (n, hidden_dim) float16 of `BoxHead.features`.
        boxes: (n, 4) float32, the proposals, in pixels of the resized image.
        mask_features: (n, c, 14, 14) float16 pooled at the refined box of each region.
        resized: height and width of the resized image.
        size: height and width of the image.
    """

    features: np.ndarray
    boxes: np.ndarray
    mask_features: np.ndarray
    resized: tuple[int, int]
    size: tuple[int, int]


def region_bytes(dim: int, map_dim: int) -> int:
    """Return the size of one region in a shard, with a feature and pooled maps of these lengths."""
    return 2 * dim + 4 * 4 + 2 * map_dim * mask_head.POOLED**2


def check(detector: zsi_detector.Detector) -> None:
    """Refuse a detector whose boxes depend on the class: the cache has one refined box of each region.

    Raises:
        errors.UserError: naming the key.
    """
    if detector.box_head.n_columns > 1:
        raise errors.UserError(
            "detector.box_head.regression: is official, so a region has a box for each class, and the cache of regions has one; "
            "set it to agnostic, or use the stages up to detect alone"
        )


@torch.no_grad()
def of_image(detector: zsi_detector.Detector, image: torch.Tensor, per_image: int) -> EvaluationRegions:
    """Run the network on an image (3, H, W) uint8 and return its `per_image` surest regions."""
    found = inference.regions(detector, image).surest(per_image)
    refined = inference.refined_boxes(detector, found)[:, 0]
    pooled = found.mask_features(torch.arange(len(refined)), refined)
    return EvaluationRegions(
        found.features.cpu().numpy().astype(np.float16),
        found.boxes.cpu().numpy(),
        pooled.cpu().numpy().astype(np.float16),
        found.resized,
        found.size,
    )


def write(path: pathlib.Path, images: Sequence[int], regions: Sequence[EvaluationRegions]) -> None:
    """Write one shard with the regions of images, given by their numbers in the index."""
    table = {name: np.concatenate([getattr(one, name) for one in regions]) for name in _OF_REGIONS}
    table |= {"image": np.array(images), "count": np.array([len(one.boxes) for one in regions])}
    table |= {name: np.array([getattr(one, name) for one in regions]) for name in ("resized", "size")}
    with storage.replacing(path) as temporary:
        with hdf5.writing(temporary) as file:
            for name, dtype in (_OF_REGIONS | _OF_IMAGES).items():
                file.create_dataset(name, data=table[name], dtype=dtype, track_times=False)
        shard_index.check_written(temporary, len(table["features"]))


def read(folder: str | pathlib.Path, device: torch.device) -> Iterator[tuple[str, inference.Regions]]:
    """Yield the id and the regions of each image of a cache, in the order of the index, one shard in memory at a time.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    folder = pathlib.Path(folder)
    described = shard_index.read(folder, "regions")
    for shard in described.shards:
        with hdf5.reading(shard_index.verify(folder, shard)) as file:
            table = {name: file[name][:] for name in _OF_REGIONS | _OF_IMAGES}
        first = 0
        for image, count, resized, size in zip(*(table[name].tolist() for name in _OF_IMAGES), strict=True):
            part = slice(first, first + count)
            first += count
            pooled = torch.from_numpy(table["mask_features"][part]).to(device).float()
            yield (
                described.images[image],
                inference.Regions(
                    torch.from_numpy(table["boxes"][part]).to(device),
                    torch.from_numpy(table["features"][part]).to(device).float(),
                    tuple(resized),
                    tuple(size),
                    _at(pooled),
                ),
            )


def _at(pooled: torch.Tensor) -> inference.MaskFeatures:
    """Return the function that gives the pooled maps of regions by their index; the boxes are those that they were pooled at."""
    return lambda index, boxes: pooled[index]
