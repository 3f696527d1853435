"""SZN on the features of tests/support/pixel_world.py: three roles of classes, and an embedding head that knows some of them."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import torch

from tests.support import caches, pixel_world
from zeroshot.base import params
from zeroshot.cache import index, rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.szn import joint_embedding, seen_mask

CLASSES = pixel_world.CLASSES
UNSEEN = pixel_world.UNSEEN
TRAIN_UNSEEN = (3, 4, 7)
TRAIN_SEEN = (0, 1, 2, 6, 8)


def split(**changes: Any) -> splits.Split:
    """Return the split of `pixel_world` with `TRAIN_UNSEEN` among its seen classes."""
    return dataclasses.replace(pixel_world.split(), train_unseen=TRAIN_UNSEEN, **changes)


def head() -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight (7, 8, 1, 1) and bias (7,) of the least-squares map from the mean features of train_seen to their class vectors."""
    centres, vectors = pixel_world.means()[list(TRAIN_SEEN)], pixel_world.vectors()[list(TRAIN_SEEN)]
    solution = np.linalg.lstsq(np.hstack([centres, np.ones((len(centres), 1))]), vectors, rcond=None)[0]
    return torch.from_numpy(solution[:-1].T.astype(np.float32))[:, :, None, None], torch.from_numpy(
        solution[-1].astype(np.float32)
    )


def joint() -> pixel_classifier.PixelClassifier:
    """Return FCN-JE of all classes."""
    return joint_embedding.classifier(*head(), torch.from_numpy(pixel_world.vectors()), split())


def section(**changes: Any) -> dict[str, Any]:
    """Return a section `seen_mask` that trains in a fraction of a second."""
    calibration = {"enabled": True, "hold_out": "train_unseen", "thresholds": [-3.0, 0.0, 3.0], "folds": 2}
    calibration |= {"held_out": 1} | changes.pop("calibration", {})
    return {
        "candidates": "unseen_and_train_unseen",
        "void": "ignored",
        "class_balance": 0.5,
        "epochs": 2,
        "steps_per_epoch": 40,
        "batch_size": 128,
        "lr": 0.05,
        "seed": 0,
        "calibration": calibration,
        "dropout": 0.0,
        "weight_decay": 0.0,
        "pool_per_class": 60,
    } | changes


def options(**changes: Any) -> seen_mask.Params:
    """Return the parameters of `section`."""
    return params.build(section(**changes), seen_mask.Params, "seen_mask")


def with_ignored(table: rows.Rows, number: int, value: float) -> rows.Rows:
    """Return rows with `number` further ones of ignored pixels, whose features are all `value`, after the others."""
    further = {name: column[:1].repeat(number, axis=0) for name, column in table.items()}
    further["label"][:] = rows.UNLABELLED
    further["features"][:] = value
    further["image"] = np.arange(number, dtype=np.int32) % pixel_world.IMAGES_PER_SHARD
    return {name: np.concatenate([table[name], further[name]]) for name in table}


def write_ignored(folder: pathlib.Path, per_class: int, number: int, value: float) -> None:
    """Write a cache of rows of all seen classes and of ignored pixels."""
    table = with_ignored(pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, per_class)), number, value)
    size = len(table["label"])
    path = folder / "shard-00000.h5"
    rows.write(path, table | {"position": np.zeros((size, 2), np.uint16)})
    offsets = np.searchsorted(np.sort(table["label"]), np.arange(len(CLASSES) + 1)).tolist()
    images = [f"image{number}" for number in range(pixel_world.IMAGES_PER_SHARD)]
    presence = index.presence([path], len(images))
    index.write(
        folder,
        index.Index(
            "rows", pixel_world.DIM, 4, list(CLASSES), images, [caches.entry(path, rows=size, offsets=offsets)],
            {"made_by": "a test", "pretraining": "none"}, presence=presence,
        ),
    )  # fmt: skip
