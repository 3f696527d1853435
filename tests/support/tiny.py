"""The whole pipeline at the smallest size at which no stage is empty, run in the process of the test."""

import copy
import hashlib
import importlib
import os
import pathlib
import shutil
from typing import Any

import torch
import yaml

from tests.support import dag
from zeroshot.base import command_line


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(values)
    for key, change in changes.items():
        if key not in merged:
            raise KeyError(f"params.yaml has no key {key!r}; change CHANGES in tests/support/tiny.py")
        merged[key] = _merged(merged[key], change) if isinstance(change, dict) else change
    return merged


# With 48 images of one or two objects, each of the 35 classes occurs twice.
CHANGES: dict[str, Any] = {
    "toy": {"seed": 0, "n_train": 48, "n_val": 8, "image_size": 32, "max_objects": 2, "sentences": 300},
    "labels": {"format": "none"},
    "data": {
        "root": "data/toy",
        "classes": "classes.txt",
        "background": "label_0",
        "train_list": "ImageSets/Segmentation/train.txt",
        "unlabelled_list": None,
        "val_list": "ImageSets/Segmentation/val.txt",
        "train_masks": "SegmentationClass",
        "val_masks": "SegmentationClass",
        "sbd": None,
        "n_unseen": None,
        "unseen": ["red-striped", "blue-checked"],
        "exclude": "images",
    },
    "embeddings": {"source": "word2vec", "path": "data/toy/corpus.txt", "dim": 8, "min_count": 1, "epochs": 1},
    "backbone": {
        "encoder": "mobilenet_v2",
        "output_stride": 16,
        "weights": "data/pretrained/none",
        "pretraining": "none",
        "freeze": "nothing",
        "epochs": 1,
        "batch_size": 16,
        "augmentation": {"crop": 32},
        "precision": "float32",
    },
    "features": {
        "pixels_per_class": 8,
        "unlabelled_pixels": 8,
        "scales": [1.0],
        "flip": False,
        "val_short_side": None,
        "shard_mib": 1,
    },
    "gmmn": {
        "hidden_dim": 8,
        "noise_dim": 4,
        "pool_per_class": 16,
        "batch_per_class": 4,
        "epochs": 1,
        "steps_per_epoch": 2,
    },
    "classifier": {
        # Without class balance, this small classifier would predict only background.
        "class_balance": 0.5,
        "pool_per_class": 16,
        "batch_size": 64,
        "epochs": 1,
        "steps_per_epoch": 2,
        "calibration": {"enabled": True, "folds": 1, "held_out": 2, "biases": [0, 2]},
    },
    # The tiny network predicts no unseen class, so all classes are pseudo-labelled.
    "pseudo_labels": {"rule": "per_image", "p": 50.0, "classes": "all"},
    # The second round computes pseudo-labels again.
    "self_training": {
        "rounds": 2,
        "pool_per_class": 16,
        "batch_size": 64,
        "epochs": 1,
        "steps_per_epoch": 2,
        "biases": [0, 2],
    },
    "self_training_network": {"epochs": 1},
    "baseline": {
        "devise": {"calibrated": True},
        "ale": {"calibrated": True},
        "pool_per_class": 16,
        "batch_size": 64,
        "epochs": 1,
        "steps_per_epoch": 2,
        "folds": 1,
        "held_out": 2,
        "biases": [0, 1],
    },
    "evaluation": {"short_side": None, "absent_classes": "skip"},
    "visualise": {"images_per_class": 1, "min_share": 0.05, "seen_images": 1, "panel_side": 32},
    # A fixed device, so that results can be compared byte by byte.
    "runtime": {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"},
}
# With more train_unseen classes some train_seen class would have no image left.
SZN_CHANGES: dict[str, Any] = {
    "split": {"train_unseen": ["red-dotted", "green-plain", "blue-ringed"], "unseen": ["red-striped", "blue-checked"]},
    "embeddings": {"source": "word2vec", "path": "data/toy/corpus.txt", "dim": 8, "min_count": 1, "epochs": 1},
    "pca": {"dim": 6},
    "network": {
        "encoder": "mobilenet_v2",
        "weights": "data/pretrained/none",
        "pretraining": "none",
        "epochs": 1,
        "batch_size": 16,
        "augmentation": {"crop": 32},
        "precision": "float32",
    },
    "features": {"pixels_per_class": 8, "shard_mib": 1},
    "joint_embedding": {"biases": [0, 0.5, 1], "folds": 1, "held_out": 1, "pool_per_class": 16},
    "seen_mask": {
        "epochs": 1,
        "steps_per_epoch": 4,
        "batch_size": 64,
        "lr": 0.05,
        "pool_per_class": 16,
        "calibration": {
            "enabled": True,
            "hold_out": "train_unseen",
            "thresholds": [-1, 0, 1],
            "folds": 1,
            "held_out": 1,
        },
    },
}
ZSI_CHANGES: dict[str, Any] = {
    "shapes": {
        "n_train": 40,
        "n_val": 6,
        "image_size": 64,
        "min_objects": 2,
        "max_objects": 2,
        "min_diameter": 16,
        "max_diameter": 30,
        "sentences": 400,
    },
    "embeddings": {"source": "word2vec", "path": "data/shapes/corpus.txt", "dim": 8, "min_count": 1, "epochs": 1},
    "detector": {
        "encoder": "small_cnn",
        "weights": "data/pretrained/none",
        "pretraining": "none",
        "epochs": 1,
        "min_side": 64,
        "max_side": 64,
        "map_dim": 8,
        "rpn": {
            "samples": 16,
            "candidates_train": 100,
            "candidates_test": 100,
            "proposals_train": 20,
            "proposals_test": 10,
        },
        "box_head": {"hidden_dim": 16, "samples": 8},
        "mask_head": {"convolutions": 1},
        "precision": "float32",
    },
    "regions": {"background_per_image": 4, "evaluation_per_image": 10, "shard_mib": 1},
    "gmmn": CHANGES["gmmn"],
    "classifier": _merged(CHANGES["classifier"], {"calibration": {"held_out": 1}}),
    "baseline": _merged(CHANGES["baseline"], {"held_out": 1}),
    "evaluation": {"resamples": 2},
    "pictures": {"panel_side": 120},
}


def settings(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of params.yaml, updated by `CHANGES` and then by `changes`, a dictionary nested like params.yaml."""
    return _merged(_merged(dag.document(dag.PARAMS), CHANGES), changes or {})


def szn_settings(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of szn/params.yaml, updated by `SZN_CHANGES` and then by `changes`."""
    return _merged(_merged(dag.document(dag.SZN_PARAMS), SZN_CHANGES), changes or {})


def zsi_settings() -> dict[str, Any]:
    """Return the content of zsi/params.yaml, updated by `ZSI_CHANGES`."""
    return _merged(dag.document(dag.ZSI_PARAMS), ZSI_CHANGES)


def make(
    folder: pathlib.Path, changes: dict[str, Any] | None = None, szn_changes: dict[str, Any] | None = None
) -> pathlib.Path:
    """Write the inputs that no stage makes to `folder` and return it."""
    for name in ("szn", "zsi"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / dag.PARAMS).write_text(yaml.safe_dump(settings(changes), sort_keys=False))
    (folder / dag.SZN_PARAMS).write_text(yaml.safe_dump(szn_settings(szn_changes), sort_keys=False))
    (folder / dag.ZSI_PARAMS).write_text(yaml.safe_dump(zsi_settings(), sort_keys=False))
    shutil.copytree(dag.ROOT / "data" / "pretrained", folder / "data" / "pretrained")
    return folder


def run(folder: pathlib.Path, *names: str) -> None:
    """Run stages in this process, in `folder`, with the arguments of dvc.yaml and one thread."""
    # Some tests record what the main pipeline reads, and some write params.yaml alone.
    of_szn = any(name.startswith("szn/") for name in names)
    stages = dag.stages(
        yaml.safe_load((folder / dag.PARAMS).read_text()),
        dag.ALL,
        yaml.safe_load((folder / dag.SZN_PARAMS).read_text()) if of_szn else None,
    )
    threads, before = torch.get_num_threads(), pathlib.Path.cwd()
    torch.set_num_threads(1)
    os.chdir(folder)
    try:
        for name in names:
            # As DVC does, make the folders of outputs and remove old outputs.
            for out in map(pathlib.Path, stages[name].outs):
                out.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
            command_line.run(importlib.import_module(stages[name].module).main, stages[name].argv)
    finally:
        os.chdir(before)
        torch.set_num_threads(threads)


def digests(folder: pathlib.Path, *paths: str) -> dict[str, str]:
    """Return the SHA-256 of every file at or below one of `paths`, by path relative to `folder`."""
    files = [file for path in paths for file in [folder / path, *(folder / path).rglob("*")] if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}
