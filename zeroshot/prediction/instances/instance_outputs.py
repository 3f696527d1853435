"""The files that `zeroshot predict` writes for a model of ZSI."""

import collections
import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
import pycocotools.mask

from zeroshot.base import storage
from zeroshot.datasets import run_lengths
from zeroshot.evaluation.instances import detections
from zeroshot.figures import instance_overlay, instance_shapes
from zeroshot.prediction import outputs
from zeroshot.prediction.instances.instance_model import InstanceModel

# What `write` adds to the stem of an image; the second is a folder.
ENDINGS = ("_overlay.jpg", "_instances")
# Columns of instances.csv.
COLUMNS = ("image", "annotation", "class", "unseen", "score", "left", "top", "width", "height", "area", "mask")


@dataclasses.dataclass(frozen=True)
class Found:
    """The instances of one image.

    Attributes:
        path: the image.
        size: its height and width.
        instances: all of them, the surest first.
        masks: index of an instance -> its mask file, relative to the folder of results, for those that are the surest at their place.
    """

    path: pathlib.Path
    size: tuple[int, int]
    instances: Sequence[detections.Detection]
    masks: dict[int, pathlib.PurePath]


def write(
    folder: pathlib.Path,
    source: outputs.Source,
    image: np.ndarray,
    detected: Sequence[detections.Detection],
    model: InstanceModel,
) -> Found:
    """Write the masks and the picture of one image.

    Of instances at one place the surest counts (`instance_shapes.surest_at_each_place`). `<stem>_instances/001_<class>.png` is its mask,
    255 where it is and 0 elsewhere, with a number that begins at the surest. `<stem>_overlay.jpg` shows these instances over the image.

    Args:
        folder: the folder of results.
        source: the image.
        image: (H, W, 3) uint8.
        detected: its instances.
        model: gives names and roles.
    """
    stem = folder / source.stem
    masks_dir = outputs.named(stem, ENDINGS[1])
    masks_dir.mkdir(parents=True, exist_ok=True)
    # An earlier run with other options may have found more.
    names = {_file_name(name) for name in model.classes.classes}
    for path in masks_dir.iterdir():
        number, _, name = path.stem.partition("_")
        if path.suffix == ".png" and number.isdecimal() and name in names:
            path.unlink()
    instances = instance_shapes.surest_first(detected)
    drawn = instance_shapes.surest_at_each_place([one for one in instances if _area(one)])
    masks: dict[int, pathlib.PurePath] = {}
    for number, one in enumerate(drawn, 1):
        name = _file_name(model.classes.classes[model.classes.label_of(one["category_id"])])
        path = masks_dir / f"{number:03d}_{name}.png"
        outputs.write_grey(path, 255 * run_lengths.decode(one["segmentation"]).astype(np.uint8))
        masks[instances.index(one)] = path.relative_to(folder)
    picture = instance_overlay.overlay(image, drawn, model.classes)
    outputs.write_overlay(outputs.named(stem, ENDINGS[0]), PIL.Image.fromarray(picture))
    return Found(source.path, (image.shape[0], image.shape[1]), instances, masks)


def summary(images: Sequence[Found], model: InstanceModel) -> str:
    """Return how many instances of each class have a mask in all images, in words."""
    classes = model.classes
    labels = [classes.label_of(found.instances[number]["category_id"]) for found in images for number in found.masks]
    counts = collections.Counter(
        f"{classes.classes[label]} (unseen)" if label in classes.unseen else classes.classes[label] for label in labels
    )
    return ", ".join(f"{n} {name}" for name, n in counts.most_common()) or "no instance"


def write_lists(folder: pathlib.Path, images: Sequence[Found], model: InstanceModel) -> None:
    """Write all instances of all images as instances.json, in COCO's layout, and those that have masks as instances.csv.

    Ids of images and annotations count from 1. Beside COCO's keys, an annotation has its `score` and whether it is `drawn`: its mask is a
    file and the picture shows it. A category says whether it is `unseen`.
    """
    classes = model.classes
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for image_id, found in enumerate(images, 1):
        entries.append(
            {"id": image_id, "file_name": os.fspath(found.path), "height": found.size[0], "width": found.size[1]}
        )
        for index, one in enumerate(found.instances):
            id, area, label = len(annotations) + 1, _area(one), classes.label_of(one["category_id"])
            mask = found.masks.get(index)
            annotations.append(
                {"id": id, **one, "image_id": image_id, "area": area, "iscrowd": 0, "drawn": mask is not None}
            )
            if mask is not None:
                box = dict(zip(("left", "top", "width", "height"), one["bbox"], strict=True))
                role = {"class": classes.classes[label], "unseen": label in classes.unseen}
                of_mask = {"area": area, "mask": mask.as_posix()}
                rows.append(
                    {"image": os.fspath(found.path), "annotation": id, **role, "score": one["score"], **box, **of_mask}
                )
    labels = (*classes.seen, *classes.unseen)
    content = {
        "images": entries,
        "categories": [
            {"id": classes.category_ids[label], "name": classes.classes[label], "unseen": label in classes.unseen}
            for label in labels
        ],
        "annotations": annotations,
    }
    parts = [f'"info": {{"description": {json.dumps(str(model))}}}']
    for key, values in content.items():
        lines = ",\n".join(json.dumps(value, allow_nan=False) for value in values)
        parts.append(f'"{key}": [\n{lines}\n]')
    storage.write_text(folder / "instances.json", "{\n" + ",\n".join(parts) + "\n}\n")
    storage.write_csv(folder / "instances.csv", rows, COLUMNS)


def _file_name(name: str) -> str:
    """Return the part of a mask's file name that is its class."""
    return name.replace(os.sep, "_")


def _area(instance: detections.Detection) -> int:
    """Return the number of pixels in the mask of an instance."""
    # The type stubs of pycocotools have another type than its function takes.
    runs: Any = instance["segmentation"]
    return int(pycocotools.mask.area(runs))
