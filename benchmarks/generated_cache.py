"""A cache of random features in the size of a real one, with all that the stages after the network read."""

import pathlib

import numpy as np
import torch

from zeroshot.base import progress
from zeroshot.cache import index, maps, rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.words import class_embeddings

_DIM, _EMBEDDING_DIM, _STRIDE = 256, 300, 4
_SHARD_BYTES = 128 * 2**20
_MAPS_PER_SHARD = 24
# Height and width of an evaluation image. Objects are rectangles of a quarter of it.
_SIZE = (240, 320)


class Features:
    """Features of a class are its mean, which depends linearly on its vector, with normal noise, cut at 0."""

    def __init__(self, n_classes: int, random: np.random.Generator) -> None:
        self.random = random
        vectors = random.standard_normal((n_classes, _EMBEDDING_DIM)).astype(np.float32)
        self.vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        projection = 0.6 * random.standard_normal((_EMBEDDING_DIM, _DIM)).astype(np.float32)
        self.means = np.maximum(self.vectors @ projection, 0) + 0.2

    def draw(self, labels: np.ndarray) -> np.ndarray:
        """Return a feature (n, d) float16 for each label (n,)."""
        noise = self.random.standard_normal((len(labels), _DIM), dtype=np.float32)
        return np.maximum(self.means[labels] + 0.8 * noise, 0).astype(np.float16)


def write(folder: pathlib.Path, n_train: int, n_val: int, n_classes: int, n_unseen: int, pixels_per_class: int) -> None:
    """Write features/, data/ and models/ of a run into a folder: cache, split, class embeddings and the network's last layer.

    Args:
        folder: where to write.
        n_train: training images, with the background and one or two seen classes each.
        n_val: evaluation images of 240 x 320 pixels, with two classes each.
        n_classes: classes without the background.
        n_unseen: how many of them are unseen.
        pixels_per_class: rows of each class and training image.
    """
    features = Features(n_classes + 1, np.random.default_rng(0))
    names = ("background", *(f"class {label}" for label in range(1, n_classes + 1)))
    seen, unseen = tuple(range(n_classes + 1 - n_unseen)), tuple(range(n_classes + 1 - n_unseen, n_classes + 1))
    for name in ("features/train", "features/val", "data", "models/classifiers", "metrics"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ids = {role: [f"{role}{number}" for number in range(n)] for role, n in (("train", n_train), ("val", n_val))}
    shards, presence = _train(folder / "features/train", features, seen, n_train, pixels_per_class)
    facts = {"pretraining": "none"}
    cache = index.Index("rows", _DIM, _STRIDE, [*names], ids["train"], shards, facts, presence=presence)
    index.write(folder / "features/train", cache)
    shards = _val(folder / "features/val", features, n_val)
    index.write(folder / "features/val", index.Index("maps", _DIM, _STRIDE, [*names], ids["val"], shards, facts))

    items = {role: tuple(splits.Item(image, f"{image}.jpg") for image in images) for role, images in ids.items()}
    splits.write(
        folder / "data/split.json", splits.Split(names, seen, unseen, "images", items["train"], (), items["val"])
    )
    embeddings = class_embeddings.ClassEmbeddings(names, features.vectors)
    class_embeddings.write(folder / "data/class_embeddings.h5", embeddings, {})
    weight = torch.from_numpy(features.means[list(seen)])
    # The nearest mean has the largest product minus half of its square.
    layer = pixel_classifier.of_layer(weight[:, :, None, None], -weight.square().sum(1) / 2, seen)
    pixel_classifier.save(folder / "models/classifiers/seen_only.pt", layer, classes=[*names])


def _train(
    folder: pathlib.Path, features: Features, seen: tuple[int, ...], n_images: int, pixels_per_class: int
) -> tuple[list[index.Shard], list[list[int]]]:
    """Write the shards of training pixels; return their entries, and the classes of each image."""
    random, entries, presence = features.random, [], []
    n_rows, parts = 0, []
    for image in progress.track(range(n_images), "write training pixels"):
        objects = random.choice(seen[1:], size=1 + int(random.random() < 0.4), replace=False)
        presence.append([0, *sorted(objects.tolist())])
        label = np.repeat(np.array(presence[-1], np.uint16), pixels_per_class)
        parts.append(
            {
                "features": features.draw(label),
                "label": label,
                "image": np.full(len(label), image, np.int32),
                "view": np.zeros(len(label), np.uint8),
                "position": random.integers(0, 60, (len(label), 2)).astype(np.uint16),
                "component": label.astype(np.int32) + 1,
                "weight": np.full(len(label), 60 * 80 / len(label), np.float32),
            }
        )
        n_rows += len(label)
        if n_rows * (2 * _DIM + rows.ROW_BYTES) > _SHARD_BYTES or image == n_images - 1:
            path = folder / f"{len(entries):05d}.h5"
            rows.write(path, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
            entries.append(index.entry(path, "rows", len(features.means)))
            n_rows, parts = 0, []
    return entries, presence


def _val(folder: pathlib.Path, features: Features, n_images: int) -> list[index.Shard]:
    """Write the shards of evaluation images and return their entries."""
    entries = []
    for first in progress.track(range(0, n_images, _MAPS_PER_SHARD), "write evaluation maps"):
        images = list(range(first, min(first + _MAPS_PER_SHARD, n_images)))
        masks = [_mask(features) for _ in images]
        cells = [mask[_STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE] for mask in masks]
        path = folder / f"{len(entries):05d}.h5"
        maps.write(path, images, [features.draw(part.ravel()).reshape(*part.shape, _DIM) for part in cells], masks)
        entries.append(index.entry(path, "maps", len(features.means)))
    return entries


def _mask(features: Features) -> np.ndarray:
    """Return a mask of two rectangles on the background."""
    (height, width), mask = _SIZE, np.zeros(_SIZE, np.uint16)
    for label in features.random.choice(np.arange(1, len(features.means)), size=2, replace=False):
        top, left = features.random.integers(0, (height // 2, width // 2))
        mask[top : top + height // 2, left : left + width // 2] = label
    return mask
