"""Hand-made instances and detections: rectangles on small images, with category ids in another order than the labels."""

from typing import Any

import numpy as np
import pycocotools.mask

from zeroshot.datasets.instances import class_list
from zeroshot.evaluation.instances import detections, truth

SIZE = (40, 50)
# Sorted, the category ids would put the unseen classes first and swap the seen ones.
CLASSES = class_list.of_roles([("disk", 90), ("box", 20)], [("ring", 7), ("cross", 3)])
DISK, BOX, RING, CROSS = 1, 2, 3, 4


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """Return a mask (H, W) bool as compressed run lengths."""
    runs: Any = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode()}


def rectangle(box, size=SIZE) -> dict[str, Any]:
    """Return the run lengths of the pixels in [x, y, width, height], all whole numbers."""
    x, y, width, height = box
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    return run_lengths(mask)


def instance(image, label, box, crowd=False) -> truth.Instance:
    """Return a true rectangle."""
    return truth.Instance(image, label, tuple(map(float, box)), rectangle(box), crowd)


def detection(image, label, box, score, mask=None) -> detections.Detection:
    """Return a detected rectangle; its mask may be another one, [x, y, width, height] too."""
    return {
        "image_id": image,
        "category_id": CLASSES.category_ids[label] or 0,
        "score": float(score),
        "bbox": list(map(float, box)),
        "segmentation": rectangle(mask or box),
    }  # type: ignore[typeddict-item]


def make_truth(instances, images=None) -> truth.Truth:
    """Return the instances with their images, or with the images of these ids."""
    ids = images or sorted({one.image for one in instances})
    return truth.Truth({id: truth.Image(f"{id}.png", SIZE) for id in ids}, list(instances))


def perfect(instances, score=0.9) -> list[detections.Detection]:
    """Return a detection of every instance that is no crowd region."""
    return [detection(one.image, one.label, tuple(map(int, one.box)), score) for one in instances if not one.crowd]


def coco_document(true: truth.Truth) -> dict[str, Any]:
    """Return the truth as a file in COCO's layout."""
    return {
        "images": [
            {"id": id, "file_name": image.file_name, "height": image.size[0], "width": image.size[1]}
            for id, image in true.images.items()
        ],
        "annotations": [
            {
                "id": number, "image_id": one.image, "category_id": CLASSES.category_ids[one.label], "bbox": list(one.box),
                "area": one.box[2] * one.box[3], "segmentation": one.mask, "iscrowd": int(one.crowd),
            }
            for number, one in enumerate(true.instances)
        ],
        "categories": [
            {"id": id, "name": name} for id, name in zip(CLASSES.category_ids, CLASSES.classes, strict=True) if id
        ],
    }  # fmt: skip
