"""True labels of unlabelled images, which prepare_split withholds; for reports and the feature oracle only (docs/protocol.md)."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from zeroshot.base import hdf5
from zeroshot.cache import index as shard_index
from zeroshot.cache import rows, sampling, stored_features
from zeroshot.images import grids, image_files, label_ids, views


def of_rows(image: np.ndarray, position: np.ndarray, index: shard_index.Index, masks: pathlib.Path) -> np.ndarray:
    """Return the true label ids (n,) uint16 of rows of a cache, `IGNORE_INDEX` for ignored pixels.

    Args:
        image: (n,) number of each row's image in the index.
        position: (n, 2) position (y, x) of each row on the feature map of the unscaled image.
        index: the index of the cache.
        masks: folder of the withheld masks, `<image id>.png`.
    """
    truth = np.empty(len(image), label_ids.DTYPE)
    for number in np.unique(image):
        of_image = image == number
        y, x = position[of_image].T
        mask = grids.add_margin(image_files.read_mask(masks / f"{index.images[number]}.png"), index.margin)
        truth[of_image] = sampling.label_cells(mask, index.stride)[y, x]
    return truth


def by_shard(folder: pathlib.Path, masks: pathlib.Path) -> Iterator[tuple[pathlib.Path, np.ndarray, np.ndarray]]:
    """Yield each shard of a cache of unlabelled rows, with its rows of the unscaled view and their true labels from the masks.

    Args:
        folder: the cache, `features/unlabelled`.
        masks: folder of the withheld masks, `<image id>.png`.

    Yields:
        the shard's file, row numbers (n,) int64 and labels (n,) uint16, `IGNORE_INDEX` for ignored pixels.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    index = shard_index.read(folder, "rows")
    for shard in index.shards:
        path = shard_index.verify(folder, shard)
        with hdf5.reading(path) as file:
            image, view, position = (file[name][:] for name in ("image", "view", "position"))
        numbers = np.flatnonzero(view == views.WHOLE)
        yield path, numbers, of_rows(image[numbers], position[numbers], index, masks)


def sample(folder: pathlib.Path, masks: pathlib.Path, classes: Sequence[int], per_class: int, seed: int) -> rows.Rows:
    """Sample at most `per_class` real features of each of `classes` from the unlabelled rows, without replacement.

    Args:
        folder: the cache, `features/unlabelled`.
        masks: folder of the withheld masks, `<image id>.png`.
        classes: label ids.
        per_class: largest number of rows of one class.
        seed: the only source of randomness.

    Returns:
        `features` (n, d) float16, `label`, `image` and `weight` (n,), sorted by class; a class without rows is absent. The
        weights of a class are scaled up to the sum of the weights of all its rows.
    """
    shards = list(by_shard(folder, masks))
    labels = np.concatenate([labels for _, _, labels in shards] + [np.zeros(0, label_ids.DTYPE)])
    chosen = np.zeros(len(labels), bool)
    for label in classes:
        candidates = np.flatnonzero(labels == label)
        size = min(per_class, len(candidates))
        chosen[np.random.default_rng([seed, label]).choice(candidates, size, replace=False)] = True
    dim = shard_index.read(folder, "rows").dim
    parts = {
        "features": [np.zeros((0, dim), np.float16)],
        "image": [np.zeros(0, np.int32)],
        "weight": [np.zeros(0, np.float32)],
    }
    cells = np.zeros(label_ids.N_IDS)
    first = 0
    for path, numbers, shard_labels in shards:
        chosen_in_shard = chosen[first : first + len(shard_labels)]
        first += len(shard_labels)
        with hdf5.reading(path) as file:
            cells += np.bincount(shard_labels, weights=file["weight"][:][numbers], minlength=label_ids.N_IDS)
            row_numbers = numbers[chosen_in_shard]
            parts["features"].append(stored_features.read(file)[row_numbers])
            for name in ("image", "weight"):
                parts[name].append(file[name][:][row_numbers])
    order = np.argsort(labels[chosen], kind="stable")
    table = {name: np.concatenate(column)[order] for name, column in parts.items()}
    table["label"] = labels[chosen][order]
    sampled_cells = np.bincount(table["label"], weights=table["weight"], minlength=label_ids.N_IDS)
    factor = np.divide(cells, sampled_cells, out=np.ones(label_ids.N_IDS), where=sampled_cells > 0)
    table["weight"] *= factor[table["label"]].astype(np.float32)
    return table
