"""Images of coloured disks and squares with masks, in COCO's layout, for tests of the detector: a class is a shape and a hue.

Unseen classes have hues between those of seen classes of their shape, so that word vectors tell them.
"""

import colorsys
import json
import pathlib
from typing import Any

import numpy as np
import PIL.Image
import torch

from zeroshot.base import params
from zeroshot.datasets import run_lengths
from zeroshot.datasets.instances import class_list
from zeroshot.words import class_embeddings
from zeroshot.zsi import detector, sections

DIM = 16
SHAPES = ("disk", "square")
# Name -> shape and hue in degrees, the seen classes first.
LOOKS = {f"{shape} {hue}": (shape, hue) for shape in SHAPES for hue in (0, 120, 240)} | {
    "disk 60": ("disk", 60),
    "square 180": ("square", 180),
}
# Category ids are neither consecutive nor in label order.
CLASSES = class_list.of_roles(
    [(name, 90 - 7 * number) for number, name in enumerate(LOOKS)][:6],
    [(name, 90 - 7 * number) for number, name in enumerate(LOOKS)][6:],
)
DETECTOR = {
    "encoder": "small_cnn",
    "weights": "data/pretrained/none",
    "pretraining": "none",
    "freeze": "nothing",
    "epochs": 2,
    "batch_size": 2,
    "optimizer": "adamw",
    "lr": 0.002,
    "seed": 0,
    "min_side": 48,
    "max_side": 64,
    "flip": 0.5,
    "map_dim": 16,
    "anchors": {"sizes": [16, 28], "ratios": [1.0]},
    "rpn": {
        "background_aware": True,
        "init": "released",
        "samples": 32,
        "candidates_train": 100,
        "candidates_test": 100,
        "proposals_train": 30,
        "proposals_test": 20,
    },
    "sync_background": {"box": True, "mask": True},
    "box_head": {
        "hidden_dim": 32,
        "regression": "agnostic",
        "init": "default",
        "samples": 16,
        "reconstruction": 0.5,
    },
    "mask_head": {"convolutions": 1, "reconstruction": 0.5},
    "warmup_steps": 0,
    "decay_after": [],
    "momentum": 0.9,
    "weight_decay": 0.0001,
    "clip_norm": 35.0,
    "precision": "float32",
}
DETECTION = {"score_threshold": 0.05, "nms": 0.5, "detections": 100, "mask_threshold": 0.5}


def section(**changes: Any) -> dict[str, Any]:
    """Return the section `detector` of these tests, updated by `changes`; those of a subsection update its keys."""
    return {
        key: {**value, **changes.get(key, {})} if isinstance(value, dict) else changes.get(key, value)
        for key, value in DETECTOR.items()
    }


def options(**changes: Any) -> sections.Detector:
    """Return `section` as the dataclass."""
    return params.build(section(**changes), sections.Detector, "detector")


def detection(**changes: Any) -> sections.Detection:
    """Return the section `detection`, updated by `changes`."""
    return params.build(DETECTION | changes, sections.Detection, "detection")


def vectors() -> np.ndarray:
    """Return word vectors (9, DIM) float32 of length 0.77: an axis for the shape, a circle for the hue; the background's is their mean."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(DIM, DIM)))[0][:, :3]
    rows = []
    for shape, hue in LOOKS.values():
        angle = np.deg2rad(hue)
        row = rotation @ [1 if shape == "disk" else -1, np.cos(angle), np.sin(angle)]
        rows.append(0.7666 * row / np.linalg.norm(row))
    return np.array([np.mean(rows, axis=0), *rows], np.float32)


def new_detector(**changes: Any) -> detector.Detector:
    """Return a detector with random weights."""
    return detector.Detector(options(**changes), torch.from_numpy(vectors()), len(CLASSES.seen))


def draw(
    rng: np.random.Generator, labels: list[int], side: int = 48, radii: tuple[int, int] = (7, 13)
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return an image (side, side, 3) uint8 and the annotations of objects of these labels; a later object hides earlier ones."""
    image = rng.integers(90, 150, (side, side, 3)).astype(np.float64)
    rows, columns = np.mgrid[:side, :side]
    masks: list[np.ndarray] = []
    for label in labels:
        shape, hue = LOOKS[CLASSES.classes[label]]
        radius = int(rng.integers(*radii))
        y, x = rng.integers(radius, side - radius, 2)
        offsets = (rows - y, columns - x)
        if shape == "disk":
            mask = offsets[0] ** 2 + offsets[1] ** 2 <= radius**2
        else:
            mask = np.maximum(abs(offsets[0]), abs(offsets[1])) <= radius * 0.85
        colour = 255 * np.array(colorsys.hsv_to_rgb(hue / 360, 0.9, 0.9))
        image[mask] = colour + rng.normal(0, 8, (mask.sum(), 3))
        masks = [earlier & ~mask for earlier in masks] + [mask]
    annotations = []
    for label, mask in zip(labels, masks, strict=True):
        if not mask.any():
            continue
        annotations.append(run_lengths.annotation(mask, CLASSES.category_ids[label]))
    return image.clip(0, 255).astype(np.uint8), annotations


def target(annotations: list[dict[str, Any]], side: int = 48) -> dict[str, torch.Tensor]:
    """Return annotations as the detector's losses need them, without crowd regions."""
    boxes = torch.tensor([one["bbox"] for one in annotations], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    masks = np.array([run_lengths.decode(one["segmentation"]) for one in annotations], np.uint8)
    return {
        "boxes": boxes,
        "labels": torch.tensor([CLASSES.label_of(one["category_id"]) for one in annotations], dtype=torch.int64),
        "masks": torch.from_numpy(masks.reshape(-1, side, side)),
        "crowd": torch.zeros(0, 4),
    }


def batch(n: int = 2, seed: int = 0) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Return images of two seen objects each, and their targets."""
    rng = np.random.default_rng(seed)
    drawn = [draw(rng, rng.choice(CLASSES.seen, 2, replace=False).tolist()) for _ in range(n)]
    return [torch.from_numpy(image).permute(2, 0, 1) for image, _ in drawn], [target(found) for _, found in drawn]


def write(
    folder: pathlib.Path, n_train: int = 4, n_val: int = 3, side: int = 48, radii: tuple[int, int] = (7, 13)
) -> pathlib.Path:
    """Write the inputs of the stages train_detector and detect to `folder`, and return it.

    Training images have seen objects alone. Half of the evaluation images have unseen ones, and the annotations of all are in
    data/zsi/val.json.
    """
    rng = np.random.default_rng(1)
    for part, n in (("train", n_train), ("val", n_val)):
        images, annotations = [], []
        (folder / "data/images" / part).mkdir(parents=True)
        for number in range(n):
            choice = CLASSES.unseen if part == "val" and number % 2 == 0 else CLASSES.seen
            pixels, of_image = draw(rng, rng.choice(choice, 2, replace=False).tolist(), side, radii)
            id = 1000 - 3 * number
            images.append({"id": id, "file_name": f"{number}.png", "height": side, "width": side})
            PIL.Image.fromarray(pixels).save(folder / "data/images" / part / f"{number}.png")
            annotations += [{"id": len(annotations) + i, "image_id": id, **one} for i, one in enumerate(of_image, 1)]
        labels = CLASSES.seen if part == "train" else CLASSES.seen + CLASSES.unseen
        categories = [{"id": CLASSES.category_ids[label], "name": CLASSES.classes[label]} for label in labels]
        document = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "data/zsi").mkdir(exist_ok=True)
        (folder / f"data/zsi/{part}.json").write_text(json.dumps(document))
    (folder / "data/zsi/val_images.json").write_text(json.dumps({"images": images}))
    class_list.write(folder / "data/zsi/classes.json", CLASSES)
    embeddings = class_embeddings.ClassEmbeddings(CLASSES.classes, vectors())
    class_embeddings.write(folder / "data/zsi/class_embeddings.h5", embeddings, {})
    (folder / "data/pretrained").mkdir(exist_ok=True)
    (folder / "data/pretrained/none").write_bytes(b"")
    return folder
