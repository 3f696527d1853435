"""A small data set of coloured blocks, as prepare_split writes it, and an untrained network, for tests of the feature dump."""

import pathlib
from typing import Any

import numpy as np
import PIL.Image
import torch
import yaml

from tests.support import dag
from zeroshot.base import checkpoints, params
from zeroshot.datasets import image_facts, splits
from zeroshot.images import image_files
from zeroshot.networks import backbone

CLASSES = ("background", "cow", "dog", "sheep")
SEEN, UNSEEN = (0, 2, 3), (1,)
# Image id -> height and width. Some images share a size and one has its own, so batches are full or incomplete.
SIZES = {
    "train": {"a": (40, 56), "b": (40, 56), "c": (40, 56), "d": (33, 50), "e": (56, 40), "f": (56, 40)},
    "unlabelled": {"u": (40, 56), "w": (30, 30)},
    "val": {"k": (40, 56), "v": (40, 56), "y": (27, 49)},
}


def settings(**changes: Any) -> dict[str, Any]:
    """Return the section `features`, updated by `changes`."""
    return {
        "pixels_per_class": 12,
        "unlabelled_pixels": 40,
        "unlabelled_views": {"scales": [], "flip": False},
        "scales": [1.0],
        "flip": False,
        "val_short_side": None,
        "shard_mib": 20,
        "batch_size": 2,
        "precision": "float32",
        "storage": "float16",
        "seed": 3,
        **changes,
    }


def make(root: pathlib.Path) -> splits.Split:
    """Write images, a params.yaml, and the split and masks of prepare_split; return the split."""
    (root / "toy/JPEGImages").mkdir(parents=True)
    for name, sizes in SIZES.items():
        labels = [0, 2, 3, 65535] if name == "train" else [0, 1, 2, 3, 65535]
        for id, size in sizes.items():
            mask, image = _paint(np.random.default_rng(ord(id)), size, labels)
            PIL.Image.fromarray(image).save(root / f"toy/JPEGImages/{id}.png")
            for folder in (f"masks/{name}", "toy/SegmentationClass"):
                image_files.write_mask(root / folder / f"{id}.png", mask)
    lists = {name: tuple(splits.Item(id, f"JPEGImages/{id}.png") for id in sizes) for name, sizes in SIZES.items()}
    split = splits.Split(CLASSES, SEEN, UNSEEN, "images", **lists)
    splits.write(root / "split.json", split)
    write_images_part(root)
    write_params(root)
    return split


def write_images_part(root: pathlib.Path) -> None:
    """Write the part of the split for dumping features, with the checksums of the images that are in `root` now."""
    split = splits.read(root / "split.json")
    sha256 = image_facts.checksums(root / "toy", split, workers=0)
    splits.write(root / "images.json", splits.images_part(split, UNSEEN, sha256))


def write_params(root: pathlib.Path, **changes: Any) -> None:
    """Write a params.yaml with the sections `features`, updated by `changes`, and `runtime`."""
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "scratch"}
    (root / "params.yaml").write_text(yaml.safe_dump({"features": settings(**changes), "runtime": runtime}))


def write_checkpoint(path: pathlib.Path) -> pathlib.Path:
    """Write the checkpoint of an untrained network, in the format of train_backbone.

    Its batch statistics are computed on noise, so that activations do not vanish. Its last layer gives every class the same mean
    logit, so that every class is predicted somewhere.
    """
    options = params.build(
        {
            "encoder": "resnet18",
            "output_stride": 16,
            "separable": True,
            "dropout": 0.1,
            "weights": "data/pretrained/none",
            "pretraining": "none",
            "freeze": "nothing",
            "loss_at": "image",
            "epochs": 1,
            "batch_size": 8,
            "lr": 0.01,
            "head_lr_multiplier": 1.0,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "repeat_threshold": 0.0,
            "semantic": {"vectors": "none", "weight": 1.0, "scale": 16.0},
            "augmentation": {"crop": 64, "scales": [1.0, 1.0], "flip": 0.5, "blur": 0.0},
            "precision": "float32",
            "seed": 0,
        },
        backbone.Params,
        "backbone",
    )
    network = backbone.build(options, len(SEEN), dag.ROOT / "data/pretrained/none")
    noise = np.stack([_paint(np.random.default_rng(seed), (64, 64), [0, 1, 2, 3])[1] for seed in range(100, 104)])
    images = torch.from_numpy(noise).permute(0, 3, 1, 2)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        network.train()(images)
        network.eval()
        network.classifier.weight.mul_(10)
        network.classifier.bias.sub_(network(images).mean(dim=(0, 2, 3)))
    metadata = {"seen": list(SEEN), "names": [CLASSES[label] for label in SEEN], "side": 64}
    checkpoints.save(path, {**metadata, "config": params.to_dict(options), "network": network.state_dict()})
    return path


def _paint(rng: np.random.Generator, size: tuple[int, int], labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask (H, W) uint16 of 8 x 8 blocks and a noisy image (H, W, 3) uint8 in which each label has a colour."""
    height, width = size
    grid = rng.choice(np.array(labels, np.uint16), (-(-height // 8), -(-width // 8)))
    mask = np.kron(grid, np.ones((8, 8), np.uint16))[:height, :width]
    colours = np.random.default_rng(0).integers(0, 256, (256, 3))
    image = colours[np.minimum(mask, 255)] + rng.normal(scale=40, size=(height, width, 3))
    return mask, image.clip(0, 255).astype(np.uint8)
