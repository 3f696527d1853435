"""The training images of the detector with boxes, labels and masks, read from a file in COCO's layout, and their order in an epoch."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pycocotools import mask as run_lengths
from torch.utils import data

from zeroshot.base import errors
from zeroshot.datasets.instances import class_list
from zeroshot.images import image_files

# An image (3, H, W) uint8 and its target, as `Detector.losses` needs them.
Example = tuple[torch.Tensor, dict[str, torch.Tensor]]


class TrainingInstances(data.Dataset[Example]):
    """Training images, each mirrored with a probability that depends on (seed, epoch, position) only, not on the number of workers.

    Args:
        path: the file that prepare makes: images, and annotations of seen classes alone, with compressed run lengths.
        images_dir: the folder of the images.
        classes: the classes.
        flip: probability of a mirror image.
        seed: seed of the mirror images and of the order.
    """

    def __init__(
        self, path: pathlib.Path, images_dir: pathlib.Path, classes: class_list.InstanceClasses, flip: float, seed: int
    ) -> None:
        document = json.loads(path.read_bytes())
        self.images = document["images"]
        if not self.images:
            raise errors.UserError(f"{path}: has no images; add images that show no unseen class")
        self.annotations: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in self.images}
        for annotation in document["annotations"]:
            self.annotations[annotation["image_id"]].append(annotation)
        self.images_dir = images_dir
        self.classes = classes
        self.flip = flip
        self.seed = seed

    def paths(self) -> list[pathlib.Path]:
        """Return the files of the images."""
        return [self.images_dir / image["file_name"] for image in self.images]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int, int]) -> Example:
        """Return an image and its target.

        Args:
            key: (epoch, position, index): epoch, position in the epoch, and index of the image.
        """
        epoch, position, index = key
        entry = self.images[index]
        image = image_files.read_image(self.images_dir / entry["file_name"])
        height, width = image.shape[:2]
        annotations = self.annotations[entry["id"]]
        masks = np.zeros((len(annotations), height, width), np.uint8)
        for mask, annotation in zip(masks, annotations, strict=True):
            mask[:] = run_lengths.decode(annotation["segmentation"])
        boxes = np.array([annotation["bbox"] for annotation in annotations], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        if np.random.default_rng([self.seed, epoch, position]).random() < self.flip:
            image, masks = image[:, ::-1], masks[:, :, ::-1]
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        target = {
            "boxes": torch.from_numpy(boxes),
            "labels": torch.tensor([self.classes.label_of(one["category_id"]) for one in annotations], dtype=torch.int64),
            "masks": torch.from_numpy(np.ascontiguousarray(masks)),
        }
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1), target

    def batches(self, epoch: int, batch_size: int) -> list[list[tuple[int, int, int]]]:
        """Return the keys of one epoch in batches; an incomplete last batch is dropped, so that every step has as many images."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        keys = [(epoch, position, int(index)) for position, index in enumerate(order)]
        size = min(batch_size, len(keys))
        return [keys[start : start + size] for start in range(0, len(keys) - size + 1, size)]


def collate(examples: Sequence[Example]) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Return images and targets of a batch as lists, because images have different sizes."""
    images, targets = zip(*examples, strict=True)
    return list(images), list(targets)
