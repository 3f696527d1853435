"""Six small images of coloured blocks with masks, split and parameters, for tests of training the backbone."""

import pathlib

import numpy as np
import PIL.Image
import pytest
import yaml

from zeroshot.base import params
from zeroshot.datasets import image_facts, splits
from zeroshot.images import image_files, label_ids
from zeroshot.networks import backbone, training_images

CLASSES = ("background", "cow", "dog", "sheep", "gull")
SEEN, UNSEEN = (0, 2, 3, 4), (1,)
# Image id -> labels of the four quarters of its 36 x 40 mask; `gull` is in one image only.
TRAIN = {
    "a": (0, 2, 0, 2),
    "b": (0, 3, 3, 0),
    "c": (2, 2, 0, 3),
    "d": (0, 0, 3, 3),
    "e": (3, 0, 2, 65535),
    "f": (0, 4, 0, 0),
}
ARGUMENTS = {
    "--data-root": "data/blocks",
    "--training-path": "data/training.json",
    "--masks-dir": "data/masks/train",
    "--weights-path": "data/pretrained/none",
    "--vectors-path": "data/vectors",
    "--backbone-path": "models/backbone.pt",
    "--curve-path": "metrics/backbone.csv",
}
OUTS = ("models/backbone.pt", "metrics/backbone.csv")
AUGMENTATION = {"crop": 32, "scales": [0.8, 1.25], "flip": 0.5, "blur": 0.5}
BACKBONE = {
    "encoder": "mobilenet_v2",
    "output_stride": 16,
    "separable": True,
    "dropout": 0.1,
    "weights": "data/pretrained/none",
    "pretraining": "none",
    "freeze": "nothing",
    "loss_at": "image",
    "epochs": 2,
    "batch_size": 3,
    "lr": 0.01,
    "head_lr_multiplier": 2.0,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "repeat_threshold": 0.5,
    "semantic": {"vectors": "data/vectors", "weight": 1.0, "scale": 4.0},
    "augmentation": AUGMENTATION,
    "precision": "float32",
    "seed": 0,
}


def options(**changes: object) -> backbone.Params:
    """Return the section `backbone` of these tests, updated by `changes`."""
    return params.build({**BACKBONE, **changes}, backbone.Params, "backbone")


def split(ids: tuple[str, ...] = tuple(TRAIN)) -> splits.Split:
    """Return a split with the training images `ids`; `cow` is unseen."""
    train = tuple(splits.Item(id, f"JPEGImages/{id}.png") for id in ids)
    return splits.Split(CLASSES, SEEN, UNSEEN, "images", train, unlabelled=(), val=())


def mask(quarters: tuple[int, ...]) -> np.ndarray:
    """Return the mask (36, 40) uint16 whose quarters have these labels."""
    return np.kron(np.array(quarters, np.uint16).reshape(2, 2), np.ones((18, 20), np.uint16))


def make(folder: pathlib.Path, workers: int = 0, **changes: object) -> pathlib.Path:
    """Write all inputs of the stage train_backbone to `folder` and return it."""
    for path in ("data/blocks/JPEGImages", "data/masks/train", "data/pretrained"):
        (folder / path).mkdir(parents=True)
    for seed, (id, quarters) in enumerate(TRAIN.items()):
        noise = np.random.default_rng(seed).integers(0, 60, (36, 40, 3), dtype=np.uint8)
        image = noise + label_ids.palette()[mask(quarters)] // 2
        PIL.Image.fromarray(image).save(folder / f"data/blocks/JPEGImages/{id}.png")
        image_files.write_mask(folder / f"data/masks/train/{id}.png", mask(quarters))
    (folder / "data/pretrained/none").write_bytes(b"")
    (folder / "data/vectors").write_bytes(b"")
    splits.write(folder / "data/split.json", split())
    write_training(folder)
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": workers, "scratch": "work"}
    (folder / "params.yaml").write_text(yaml.safe_dump({"backbone": {**BACKBONE, **changes}, "runtime": runtime}))
    return folder


def write_training(folder: pathlib.Path) -> None:
    """Write the part of the split for training, with the checksums of the images that are in `folder` now."""
    sha256 = image_facts.checksums(folder / "data/blocks", split(), workers=0)
    splits.write(folder / "data/training.json", splits.training_part(split(), split().train, 40, sha256))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a folder with the inputs of the stage."""
    return make(tmp_path_factory.mktemp("blocks"))


def dataset(folder: pathlib.Path, **changes: object) -> training_images.TrainingImages:
    """Return the dataset of the images that `make` wrote to `folder`."""
    return training_images.TrainingImages(
        split(), folder / "data/blocks", folder / "data/masks/train", options(**changes)
    )


def outputs(folder: pathlib.Path) -> dict[str, bytes]:
    """Return the bytes of every file that the stage wrote to `folder`."""
    return {name: (folder / name).read_bytes() for name in OUTS}
