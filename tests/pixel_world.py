"""A tiny world behind a feature cache for tests: classes are pairs of attributes, two pairs are unseen, features are noisy sums."""

import pathlib
from typing import Any

import numpy as np
import torch

from tests import caches
from zs3 import embeddings, label_ids, params, pixel_classifier, splits
from zs3.classifiers import baselines, classifier, self_training
from zs3.generators import gmmn
from zs3.pseudo_labels import selection
from zs3.shards import index, maps, rows

DIM = 8
HUES, PATTERNS = 3, 3
CLASSES = ("background", *(f"{hue}-{pattern}" for hue in "rgb" for pattern in "xyz"))
UNSEEN = (5, 9)
IMAGES_PER_CLASS = 10
IMAGES_PER_SHARD = IMAGES_PER_CLASS * (len(CLASSES) - 1)
SEEN = (0, 1, 2, 3, 4, 6, 7, 8)
NOISE = 0.3


def vectors() -> np.ndarray:
    """Return the class embeddings (10, 7) float32: background, hue and pattern, each one-hot."""
    table = np.zeros((len(CLASSES), 1 + HUES + PATTERNS), dtype=np.float32)
    table[0, 0] = 1
    for label in range(1, len(CLASSES)):
        hue, pattern = divmod(label - 1, PATTERNS)
        table[label, 1 + hue] = table[label, 1 + HUES + pattern] = 1
    return table


def means() -> np.ndarray:
    """Return the mean feature of each class, (10, 8) float64, linear in the embeddings and not negative."""
    mixing = np.random.default_rng(1).uniform(0, 2, (1 + HUES + PATTERNS, DIM))
    return vectors().astype(np.float64) @ mixing


def features(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return a noisy feature (n, 8) float16 for each label."""
    noise = np.random.default_rng(seed).normal(0, NOISE, (len(labels), DIM))
    return np.maximum(means()[labels] + noise, 0).astype(np.float16)


def sampled(counts: dict[int, int], seed: int = 0) -> rows.Rows:
    """Return what `rows.sample` gives: `counts` rows of each class, sorted by class; class k stands for k + 1 cells a row.

    An image shows one class and the background.
    """
    labels = np.repeat(np.array(sorted(counts)), [counts[label] for label in sorted(counts)])
    number = np.arange(len(labels))
    own = (labels - 1) * IMAGES_PER_CLASS + number % IMAGES_PER_CLASS
    return {
        "features": features(labels, seed),
        "label": labels.astype(np.uint8),
        "image": np.where(labels == 0, number % IMAGES_PER_SHARD, own).astype(np.int32),
        "view": np.zeros(len(labels), np.uint8),
        "component": np.ones(len(labels), np.int32),
        "weight": (labels + 1).astype(np.float32),
    }


def presence(table: rows.Rows, n_images: int = IMAGES_PER_SHARD) -> np.ndarray:
    """Return which images of a table show which classes, (n_images, 10) bool."""
    shown = np.zeros((n_images, len(CLASSES)), bool)
    shown[table["image"], table["label"]] = True
    return shown


def write_rows(folder: pathlib.Path, per_class: int, n_shards: int = 1, labels: tuple[int, ...] = SEEN) -> None:
    """Write a cache of rows, `per_class` of each class in every shard."""
    entries = []
    for number in range(n_shards):
        table = sampled(dict.fromkeys(labels, per_class), seed=number)
        size = len(table["label"])
        table |= {
            "image": table["image"] + np.int32(number * IMAGES_PER_SHARD),
            "view": np.zeros(size, np.uint8),
            "position": np.zeros((size, 2), np.uint16),
            "component": np.ones(size, np.int32),
        }
        path = folder / f"shard-{number:05d}.h5"
        rows.write(path, table)
        offsets = np.searchsorted(table["label"], np.arange(len(CLASSES) + 1)).tolist()
        entries.append(caches.entry(path, rows=size, offsets=offsets))
    _write_index(folder, "rows", [f"image{number}" for number in range(n_shards * IMAGES_PER_SHARD)], entries)


def write_maps(folder: pathlib.Path, n_images: int, side: int = 5) -> None:
    """Write a cache of maps, one image a shard: blocks of 4 x 4 pixels of every class, cut by a ragged edge, some ignored."""
    entries = []
    for number in range(n_images):
        cells = np.random.default_rng(number).integers(0, len(CLASSES), (side, side))
        mask = np.kron(cells, np.ones((4, 4), np.int64)).astype(np.uint8)[:-1, :-3]
        mask[0] = label_ids.IGNORE_INDEX
        path = folder / f"shard-{number:05d}.h5"
        maps.write(path, [number], [features(cells.ravel(), number).reshape(side, side, DIM)], [mask])
        entries.append(caches.entry(path, rows=side * side))
    _write_index(folder, "maps", [f"val{number}" for number in range(n_images)], entries)


def split(unseen: tuple[int, ...] = UNSEEN) -> splits.Split:
    """Return the split of this world, without images, which no stage after the dump looks at."""
    seen = tuple(label for label in range(len(CLASSES)) if label not in unseen)
    return splits.Split(CLASSES, seen, unseen, "images", (), (), ())


def start(labels: tuple[int, ...] = SEEN) -> pixel_classifier.PixelClassifier:
    """Return the classifier of the nearest mean over `labels`, in the part of the backbone's last layer."""
    centres = torch.from_numpy(means()[list(labels)]).float()
    return pixel_classifier.PixelClassifier(
        weight=centres,
        bias=-centres.square().sum(1) / 2,
        labels=torch.tensor(labels),
        unseen=torch.zeros(len(labels), dtype=torch.bool),
    )


def gmmn_section(**changes: Any) -> dict[str, Any]:
    """Return a section `gmmn` that trains in a fraction of a second."""
    return {
        "generator": "mlp",
        "hidden_dim": 32,
        "noise_dim": 8,
        "noise": "gaussian",
        "dropout": 0.0,
        "sampling_dropout": False,
        "output": "relu",
        "bandwidths": [0.25, 0.5, 1.0, 2.0, 4.0],
        "kernel": "median",
        "estimator": "unbiased",
        "pool_per_class": 60,
        "batch_per_class": 16,
        "epochs": 3,
        "steps_per_epoch": 40,
        "lr": 0.01,
        "graph": {
            "context": "near",
            "masks": "data/pretrained/none",
            "skip": True,
            "context_weight": 1.0,
            "near": 2,
            "contexts_per_class": 8,
        },
        "gan": {"critic_hidden_dim": 32, "critic_steps": 3, "gradient_penalty": 10.0, "lr": 0.005},
        "seed": 0,
    } | changes


def gmmn_options(**changes: Any) -> gmmn.Params:
    return params.build(gmmn_section(**changes), gmmn.Params, "gmmn")


def classifier_section(**changes: Any) -> dict[str, Any]:
    """Return a section `classifier` that trains in a fraction of a second."""
    return {
        "trained_rows": "all",
        "init": "backbone",
        "class_balance": 0.5,
        "synthetic_ratio": 1.0,
        "unseen_weight": 1.0,
        "distillation": 0.0,
        "pool_per_class": 60,
        "batch_size": 128,
        "epochs": 2,
        "steps_per_epoch": 60,
        "optimizer": "adamw",
        "lr": 0.02,
        "weight_decay": 0.0001,
        "calibration": {"enabled": True, "folds": 2, "held_out": 2, "biases": [0, 1, 2, 3, 4, 6, 20]},
        "seed": 0,
    } | changes


def classifier_options(**changes: Any) -> classifier.Params:
    return params.build(classifier_section(**changes), classifier.Params, "classifier")


def pseudo_labels_section(**changes: Any) -> dict[str, Any]:
    """Return a section `pseudo_labels`."""
    return {"rule": "per_image", "p": 50.0, "min_confidence": 0.0, "classes": "unseen"} | changes


def pseudo_labels_options(**changes: Any) -> selection.Params:
    return params.build(pseudo_labels_section(**changes), selection.Params, "pseudo_labels")


def self_training_section(**changes: Any) -> dict[str, Any]:
    """Return a section `self_training` that trains in a fraction of a second."""
    return {
        "rounds": 1,
        "trained_rows": "all",
        "class_balance": 0.5,
        "pseudo_ratio": 1.0,
        "synthetic_ratio": 0.5,
        "pool_per_class": 60,
        "batch_size": 128,
        "epochs": 2,
        "steps_per_epoch": 60,
        "lr": 0.02,
        "weight_decay": 0.0001,
        "biases": [0, 1, 2, 3, 4, 6, 20],
        "seed": 0,
    } | changes


def self_training_options(**changes: Any) -> self_training.Params:
    return params.build(self_training_section(**changes), self_training.Params, "self_training")


def baseline_section(**changes: Any) -> dict[str, Any]:
    """Return a section `baseline` that trains in a fraction of a second."""
    return {
        "devise": {"lr": 0.02, "calibrated": False},
        "ale": {"lr": 0.02, "calibrated": False},
        "spnet": {"lr": 0.02, "calibrated": True},
        "class_balance": 0.5,
        "pool_per_class": 60,
        "batch_size": 128,
        "epochs": 2,
        "steps_per_epoch": 60,
        "weight_decay": 0.0001,
        "folds": 2,
        "held_out": 2,
        "biases": [0, 0.25, 0.5, 0.75, 1, 1.5, 4],
        "seed": 0,
    } | changes


def baseline_options(**changes: Any) -> baselines.Params:
    return params.build(baseline_section(**changes), baselines.Params, "baseline")


def visualise_section(**changes: Any) -> dict[str, Any]:
    """Return a section `visualise` with one image of each unseen class in panels of the images' longer side."""
    return {"images_per_class": 1, "min_share": 0.05, "seen_images": 1, "panel_side": 57, "seed": 0} | changes


def write_training_inputs(folder: pathlib.Path, per_class: int = 80, n_shards: int = 2) -> None:
    """Write all that train_gmmn and finetune_classifier read, where dvc.yaml has it, but params.yaml."""
    splits.write(folder / "data/split.json", split())
    embeddings.write(
        folder / "data/class_embeddings.h5", embeddings.ClassEmbeddings(CLASSES, vectors()), {"source": "test"}
    )
    (folder / "data/pretrained").mkdir(exist_ok=True)
    (folder / "data/pretrained/none").touch()
    write_rows(folder / "features/train", per_class, n_shards)
    pixel_classifier.save(folder / "models/seen_only.pt", start(), classes=list(CLASSES))


def write_inputs(folder: pathlib.Path, per_class: int = 80, n_shards: int = 2, n_maps: int = 3) -> None:
    """Write all that train_gmmn, finetune_classifier and evaluate read, where dvc.yaml has it, but params.yaml."""
    write_training_inputs(folder, per_class, n_shards)
    write_maps(folder / "features/val", n_maps)


def document(**sections: dict[str, Any]) -> dict[str, Any]:
    """Return a params.yaml for the stages after the dump."""
    runtime = {"device": "cpu", "workers": 0, "scratch": "work"}
    own = {
        "gmmn": gmmn_section(),
        "classifier": classifier_section(),
        "pseudo_labels": pseudo_labels_section(),
        "self_training": self_training_section(),
        "baseline": baseline_section(),
        "evaluation": {"short_side": None, "absent_classes": "skip"},
    }
    return own | {"runtime": runtime} | sections


def _write_index(folder: pathlib.Path, kind: str, images: list[str], entries: list[dict[str, Any]]) -> None:
    index.write(folder, index.Index(kind, DIM, list(CLASSES), images, entries, {"made_by": "a test"}))
