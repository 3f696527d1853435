"""Synthetic features and caches for tests: a class is a pair of attributes, two pairs are unseen, features are noisy sums."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import torch

from tests.support import caches
from zeroshot.cache import index, maps, rows
from zeroshot.datasets import splits
from zeroshot.images import label_ids
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.words import class_embeddings

DIM = 8
HUES, PATTERNS = 3, 3
CLASSES = ("background", *(f"{hue}-{pattern}" for hue in "rgb" for pattern in "xyz"))
UNSEEN = (5, 9)
IMAGES_PER_CLASS = 10
IMAGES_PER_SHARD = IMAGES_PER_CLASS * (len(CLASSES) - 1)
SEEN = (0, 1, 2, 3, 4, 6, 7, 8)
NOISE = 0.3


def vectors() -> np.ndarray:
    """Return the class embeddings (10, 7) float32: one-hot codes of background, hue and pattern, concatenated."""
    table = np.zeros((len(CLASSES), 1 + HUES + PATTERNS), dtype=np.float32)
    table[0, 0] = 1
    for label in range(1, len(CLASSES)):
        hue, pattern = divmod(label - 1, PATTERNS)
        table[label, 1 + hue] = table[label, 1 + HUES + pattern] = 1
    return table


def means() -> np.ndarray:
    """Return the mean feature of each class, (10, 8) float64, linear in the embeddings and non-negative."""
    mixing = np.random.default_rng(1).uniform(0, 2, (1 + HUES + PATTERNS, DIM))
    return vectors().astype(np.float64) @ mixing


def features(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return a noisy feature (n, 8) float16 for each label."""
    noise = np.random.default_rng(seed).normal(0, NOISE, (len(labels), DIM))
    return np.maximum(means()[labels] + noise, 0).astype(np.float16)


def sampled(counts: dict[int, int], seed: int = 0) -> rows.Rows:
    """Return rows as `rows.sample` does: `counts` rows of each class, sorted by class; the weight of rows of class k is k + 1.

    An image shows one class and the background.
    """
    labels = np.repeat(np.array(sorted(counts)), [counts[label] for label in sorted(counts)])
    number = np.arange(len(labels))
    image_of_class = (labels - 1) * IMAGES_PER_CLASS + number % IMAGES_PER_CLASS
    return {
        "features": features(labels, seed),
        "label": labels.astype(np.uint16),
        "image": np.where(labels == 0, number % IMAGES_PER_SHARD, image_of_class).astype(np.int32),
        "view": np.zeros(len(labels), np.uint8),
        "component": np.ones(len(labels), np.int32),
        "weight": (labels + 1).astype(np.float32),
    }


def presence(table: rows.Rows, n_images: int = IMAGES_PER_SHARD) -> np.ndarray:
    """Return which classes each image of a table shows, (n_images, 10) bool."""
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
    """Write a cache of maps, one image per shard; masks have 4 x 4 blocks of random classes, cropped, with an ignored first row."""
    entries = []
    for number in range(n_images):
        cells = np.random.default_rng(number).integers(0, len(CLASSES), (side, side))
        mask = np.kron(cells, np.ones((4, 4), np.int64)).astype(np.uint16)[:-1, :-3]
        mask[0] = label_ids.IGNORE_INDEX
        path = folder / f"shard-{number:05d}.h5"
        maps.write(path, [number], [features(cells.ravel(), number).reshape(side, side, DIM)], [mask])
        entries.append(caches.entry(path, rows=side * side))
    _write_index(folder, "maps", [f"val{number}" for number in range(n_images)], entries)


def split(unseen: tuple[int, ...] = UNSEEN) -> splits.Split:
    """Return the split, without images, since no stage after the dump reads them."""
    seen = tuple(label for label in range(len(CLASSES)) if label not in unseen)
    return splits.Split(CLASSES, seen, unseen, "images", (), (), ())


def start(labels: tuple[int, ...] = SEEN) -> pixel_classifier.PixelClassifier:
    """Return a nearest-mean classifier of `labels`, to be used as the backbone's last layer."""
    centres = torch.from_numpy(means()[list(labels)]).float()
    return pixel_classifier.PixelClassifier(
        weight=centres,
        bias=-centres.square().sum(1) / 2,
        labels=torch.tensor(labels),
        unseen=torch.zeros(len(labels), dtype=torch.bool),
    )


def write_training_inputs(folder: pathlib.Path, per_class: int = 80, n_shards: int = 2) -> None:
    """Write the inputs of train_gmmn and finetune_classifier, except params.yaml, to the paths of dvc.yaml."""
    splits.write(folder / "data/split.json", split())
    class_embeddings.write(
        folder / "data/class_embeddings.h5", class_embeddings.ClassEmbeddings(CLASSES, vectors()), {"source": "test"}
    )
    (folder / "data/pretrained").mkdir(exist_ok=True)
    (folder / "data/pretrained/none").touch()
    write_rows(folder / "features/train", per_class, n_shards)
    pixel_classifier.save(folder / "models/classifiers/seen_only.pt", start(), classes=list(CLASSES))


def write_inputs(folder: pathlib.Path, per_class: int = 80, n_shards: int = 2, n_maps: int = 3) -> None:
    """Write the inputs of train_gmmn, finetune_classifier and evaluate, except params.yaml, to the paths of dvc.yaml."""
    write_training_inputs(folder, per_class, n_shards)
    write_maps(folder / "features/val", n_maps)


def _write_index(folder: pathlib.Path, kind: str, images: list[str], entries: list[dict[str, Any]]) -> None:
    written = index.Index(kind, DIM, 4, list(CLASSES), images, entries, {"made_by": "a test", "pretraining": "none"})
    if kind == "rows":
        presence_lists = index.presence([folder / entry["file"] for entry in entries], len(images))
        written = dataclasses.replace(written, presence=presence_lists)
    index.write(folder, written)
