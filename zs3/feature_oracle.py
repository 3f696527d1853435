"""An upper bound, not a method: it READS LABELS OF UNSEEN CLASSES to train the last layer on their real features.

The rest is as in `classifiers.classifier`, so what lies between it and a zero-shot model is what the generator loses, and
what lies between it and full supervision is what a backbone loses that never saw these classes.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import h5py
import numpy as np
import torch

from zs3 import folds, pixel_classifier, views
from zs3.classifiers import classifier
from zs3.features import held_labels, pools
from zs3.rehearsals import zero_shot_cv
from zs3.shards import index as shard_index
from zs3.shards import rows


@dataclasses.dataclass(frozen=True)
class RealFeatures:
    """Real features in the part of a generator.

    Attributes:
        pool: features of the classes that it gives.
        embeddings: as a generator's, of which training asks the device only.
    """

    pool: pools.Pool
    embeddings: torch.Tensor

    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return one real feature (n, d) float32 for each label (n,) int64 of the pool."""
        drawn = pools.draw(self.pool, torch.searchsorted(self.pool.labels, labels), random)
        return drawn.to(self.embeddings.device)


def true_labels(folder: pathlib.Path, masks: pathlib.Path) -> Iterator[tuple[pathlib.Path, np.ndarray, np.ndarray]]:
    """Yield each shard of a cache of unlabelled rows with its rows of the whole view and their true labels, read from the masks.

    Args:
        folder: the cache, `features/unlabelled`.
        masks: folder of the held masks, `<image id>.png`.

    Yields:
        the shard's file, row numbers (n,) int64 and labels (n,) uint8, 255 where there is none.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    index = shard_index.read(folder, "rows")
    for shard in index.shards:
        path = shard_index.verify(folder, shard)
        with h5py.File(path, "r") as file:
            image, view, position = (file[name][:] for name in ("image", "view", "position"))
        whole = np.flatnonzero(view == views.WHOLE)
        yield path, whole, held_labels.of_rows(image[whole], position[whole], index.images, masks)


def sample(folder: pathlib.Path, masks: pathlib.Path, classes: Sequence[int], per_class: int, seed: int) -> rows.Rows:
    """Draw at most `per_class` real features of each of `classes` from the unlabelled rows, without replacement.

    Args:
        folder: the cache, `features/unlabelled`.
        masks: folder of the held masks.
        classes: label ids.
        per_class: the most rows of one class.
        seed: the only source of randomness.

    Returns:
        `features` (n, d) float16, `label` and `weight` (n,), sorted by class; a class without rows is left out.
    """
    found = list(true_labels(folder, masks))
    labels = np.concatenate([labels for _, _, labels in found] + [np.zeros(0, np.uint8)])
    chosen = np.zeros(len(labels), bool)
    for label in classes:
        candidates = np.flatnonzero(labels == label)
        size = min(per_class, len(candidates))
        chosen[np.random.default_rng([seed, label]).choice(candidates, size, replace=False)] = True
    dim = shard_index.read(folder, "rows").dim
    parts = {"features": [np.zeros((0, dim), np.float16)], "weight": [np.zeros(0, np.float32)]}
    passed = 0
    for path, numbers, of_shard in found:
        wanted = chosen[passed : passed + len(of_shard)]
        passed += len(of_shard)
        with h5py.File(path, "r") as file:
            for name, column in parts.items():
                column.append(file[name][:][numbers[wanted]])
    order = np.argsort(labels[chosen], kind="stable")
    table = {name: np.concatenate(column)[order] for name, column in parts.items()}
    return table | {"label": labels[chosen][order]}


def rehearse(
    drawn: Sequence[folds.Fold],
    sampled: rows.Rows,
    start: pixel_classifier.PixelClassifier,
    options: classifier.Params,
    device: torch.device,
) -> Iterator[tuple[folds.Fold, list[float]]]:
    """Rehearse with seen classes held out, as zero_shot_cv does, but with their real features from the images that play unlabelled.

    So the bias is that of a classifier trained as the oracle is, and no label of an unseen class has a part in it.

    Yields:
        each fold that has such features, and its hIoU at each bias.
    """
    for fold in drawn:
        wanted = fold.unlabelled[sampled["image"]] & np.isin(sampled["label"], list(fold.held_out))
        held = pools.select({name: column[wanted] for name, column in sampled.items()}, fold.held_out)
        if not len(held.labels):
            continue
        labels = zero_shot_cv.kept(fold, start)
        real = pools.select(folds.training_rows(fold, sampled, labels), labels)
        source = RealFeatures(held, torch.zeros(0, device=device))
        reduced = zero_shot_cv.restrict(start, labels)
        *_, (_, trained) = classifier.fit(reduced, real, source, held.labels.tolist(), options)
        figures = zero_shot_cv.score(fold, trained, sampled, options.calibration.biases)
        yield fold, [figure["hIoU"] for figure in figures]
