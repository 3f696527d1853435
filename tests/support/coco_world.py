"""A small data set of instances in COCO's layout: four training images, two for evaluation, and changes of them."""

import json
import pathlib
from typing import Any

import numpy as np
import PIL.Image
import pycocotools.mask

SIZE = (40, 60)
# Neither in the order of names nor of ids.
CATEGORIES = ((17, "cat"), (3, "car"), (24, "zebra"), (90, "mug"))
DATA = {
    "annotations": "notes",
    "train": ["train.json"],
    "val": "val.json",
    "train_images": "pictures",
    "val_images": "pictures",
    "published": None,
    "unseen": ["zebra"],
    "seen": None,
}


def box(left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    """Return the polygon that covers exactly the pixels [top:bottom, left:right]."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def runs(left: int, top: int, right: int, bottom: int) -> dict[str, Any]:
    """Return the compressed run lengths of these pixels."""
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return {"size": list(SIZE), "counts": pycocotools.mask.encode(mask)["counts"].decode()}


def annotation(id: int, image_id: int, category_id: int, **more: Any) -> dict[str, Any]:
    """Return an object in the pixels [10:30, 5:25], with another `segmentation`, `bbox`, ... if given."""
    entry = {"id": id, "image_id": image_id, "category_id": category_id, "iscrowd": 0, "area": 400.0}
    return entry | {"bbox": [5.0, 10.0, 20.0, 20.0], "segmentation": box(5, 10, 25, 30)} | more


def contents() -> dict[str, dict[str, Any]]:
    """Return the content of both files: training image 12 shows the unseen zebra, and 14 nothing; 22 is for evaluation, as is 21."""
    annotations = {
        "train": [
            annotation(5, 13, 17),
            annotation(1, 11, 3, segmentation=runs(5, 10, 25, 30)),
            annotation(2, 11, 17, iscrowd=1, segmentation=runs(0, 0, 60, 5), bbox=[0, 0, 60, 5]),
            annotation(3, 12, 24),
            annotation(4, 12, 3),
        ],
        "val": [
            annotation(7, 21, 24),
            annotation(8, 21, 3),
            annotation(9, 22, 17, iscrowd=1, segmentation=runs(0, 0, 60, 5), bbox=[0, 0, 60, 5]),
        ],
    }
    images = {"train": (13, 11, 12, 14), "val": (22, 21)}
    height, width = SIZE
    return {
        name: {
            "info": {"year": 2026},
            "images": [
                {"id": id, "file_name": f"{id}.png", "width": width, "height": height, "license": 1} for id in ids
            ],
            "annotations": annotations[name],
            "categories": [{"id": id, "name": category, "supercategory": "x"} for id, category in CATEGORIES],
        }
        for name, ids in images.items()
    }


def write(root: pathlib.Path, files: dict[str, Any] | None = None) -> None:
    """Write the images and the files, by default those of `contents`."""
    for folder in ("pictures", "notes"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for id in (11, 12, 13, 14, 21, 22):
        PIL.Image.fromarray(np.full((*SIZE, 3), id, np.uint8)).save(root / "pictures" / f"{id}.png")
    for name, content in (contents() if files is None else files).items():
        (root / "notes" / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
