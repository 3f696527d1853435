"""The training images of the detector with boxes, labels and masks, and their order in an epoch; reading of the files that prepare made."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pydantic
import torch
import typing_extensions
from torch.utils import data

from zeroshot.base import errors, user_files
from zeroshot.datasets import run_lengths
from zeroshot.datasets.instances import class_list
from zeroshot.images import image_files
from zeroshot.zsi import sections


class Image(typing_extensions.TypedDict):
    """An entry of `images`."""

    id: int
    file_name: str
    height: int
    width: int


class Annotation(typing_extensions.TypedDict):
    """An entry of `annotations`; the box is x, y, width, height in pixels, the segmentation compressed run lengths.

    With `iscrowd` 1 it is a region with objects that have no annotations of their own.
    """

    image_id: int
    category_id: int
    bbox: list[float]
    iscrowd: typing_extensions.NotRequired[int]
    segmentation: dict[str, Any]


class Content(typing_extensions.TypedDict):
    """A file that prepare made; detection reads the images alone."""

    images: list[Image]
    annotations: typing_extensions.NotRequired[list[Annotation]]


_CONTENT = pydantic.TypeAdapter(Content)
# An image (3, H, W) uint8 and its target, as `Detector.losses` needs them.
Example = tuple[torch.Tensor, dict[str, torch.Tensor]]


class TrainingInstances(data.Dataset[Example]):
    """Training images, each mirrored with a probability that depends on (seed, epoch, position) only, not on the number of workers.

    Args:
        path: the file that prepare makes: images, and annotations of seen classes alone, with compressed run lengths.
        images_dir: the folder of the images.
        classes: the classes.
        options: the section `detector`, of which max_side, flip and seed are used.

    Raises:
        errors.UserError: if the file cannot be read, has no images, or has images that are too thin.
    """

    def __init__(
        self,
        path: pathlib.Path,
        images_dir: pathlib.Path,
        classes: class_list.InstanceClasses,
        options: sections.Detector,
    ) -> None:
        document = read(path, options.max_side)
        self.images = document["images"]
        if not self.images:
            raise errors.UserError(f"{path}: has no images; add images that show no unseen class")
        self.annotations: dict[int, list[Annotation]] = {image["id"]: [] for image in self.images}
        for annotation in document.get("annotations", []):
            self.annotations[annotation["image_id"]].append(annotation)
        self.images_dir = images_dir
        self.classes = classes
        self.flip = options.flip
        self.seed = options.seed

    def paths(self) -> list[pathlib.Path]:
        """Return the files of the images."""
        return [self.images_dir / image["file_name"] for image in self.images]

    def n_objects(self) -> list[int]:
        """Return the number of annotated objects of each image; crowd regions do not count."""
        return [
            sum(not annotation.get("iscrowd", 0) for annotation in self.annotations[image["id"]])
            for image in self.images
        ]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int, int]) -> Example:
        """Return an image and its target.

        Args:
            key: (epoch, position, index): epoch, position in the epoch, and index of the image.
        """
        epoch, position, index = key
        return self.example(index, mirrored=np.random.default_rng([self.seed, epoch, position]).random() < self.flip)

    def example(self, index: int, mirrored: bool = False) -> Example:
        """Return an image and its target, as they are or as their mirror images."""
        entry = self.images[index]
        image = image_files.read_image(self.images_dir / entry["file_name"])
        height, width = image.shape[:2]
        crowd, annotations = [
            [one for one in self.annotations[entry["id"]] if one.get("iscrowd", 0) == kind] for kind in (1, 0)
        ]
        masks = np.zeros((len(annotations), height, width), np.uint8)
        for mask, annotation in zip(masks, annotations, strict=True):
            mask[:] = run_lengths.decode(annotation["segmentation"])
        if mirrored:
            image, masks = image[:, ::-1], masks[:, :, ::-1]
        target = {
            "boxes": _corners(annotations, width if mirrored else None),
            "labels": torch.tensor(
                [self.classes.label_of(one["category_id"]) for one in annotations], dtype=torch.int64
            ),
            "masks": torch.from_numpy(np.ascontiguousarray(masks)),
            "crowd": _corners(crowd, width if mirrored else None),
        }
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1), target

    def batches(self, epoch: int, batch_size: int) -> list[list[tuple[int, int, int]]]:
        """Return the keys of one epoch in batches; an incomplete last batch is dropped, so that every step has as many images."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        keys = [(epoch, position, int(index)) for position, index in enumerate(order)]
        size = min(batch_size, len(keys))
        return [keys[start : start + size] for start in range(0, len(keys) - size + 1, size)]


def _corners(annotations: Sequence[Annotation], mirrored_width: int | None) -> torch.Tensor:
    """Return the boxes (n, 4) float32 as corners, or those of the mirror image of an image of a width in pixels."""
    boxes = np.array([annotation["bbox"] for annotation in annotations], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    if mirrored_width is not None:
        boxes[:, [0, 2]] = mirrored_width - boxes[:, [2, 0]]
    return torch.from_numpy(boxes)


def read(path: pathlib.Path, max_side: int) -> Content:
    """Read a file that prepare made.

    Args:
        path: images, with or without annotations.
        max_side: side in pixels that the longer side of an image may have after resizing.

    Raises:
        errors.UserError: if the file is missing or damaged, or if an image is so thin that its shorter side would vanish.
    """
    try:
        content = _CONTENT.validate_json(path.read_bytes())
    except OSError as error:
        raise errors.UserError(f"{path}: {error.strerror}; {user_files.REMEDY}") from error
    except pydantic.ValidationError as error:
        raise errors.UserError(
            f"{path}: is no list of images ({'; '.join(errors.describe(error))}); {user_files.REMEDY}"
        ) from None
    faults = errors.Faults()
    for image in content["images"]:
        if too_thin(image["height"], image["width"], max_side):
            faults.add(
                f"images too thin to be resized to {max_side} pixels, the detector's max_side; leave them out",
                f"{image['file_name']}: {image['width']} x {image['height']}",
            )
    faults.raise_any(str(path))
    return content


def too_thin(height: int, width: int, max_side: int) -> bool:
    """Return whether the shorter side of an image may vanish when torchvision resizes its longer side to `max_side` and rounds down."""
    return min(height, width) * max_side <= max(height, width)


def collate(examples: Sequence[Example]) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Return images and targets of a batch as lists, because images have different sizes."""
    images, targets = zip(*examples, strict=True)
    return list(images), list(targets)
