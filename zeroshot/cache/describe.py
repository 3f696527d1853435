"""A report on the contents of a feature cache, for a person to check."""

import pathlib

import numpy as np

from zeroshot.base import hdf5, storage
from zeroshot.cache import index as shard_index
from zeroshot.cache import rows, stored_features


def describe(folder: str | pathlib.Path) -> str:
    """Return a report on a cache.

    The report lists shards, provenance and, for each class, the number of rows, the moments of the features, the share of non-zero
    values and the number of features that are always zero. Every shard is read once and its checksum is verified. Memory holds one
    class of one shard, or one shard of maps, at a time.

    Args:
        folder: the cache, for example `features/train`.

    Raises:
        shard_index.ShardError: if the cache is missing, truncated or altered.
    """
    folder = pathlib.Path(folder)
    index = shard_index.read(folder)
    n_bytes = sum(shard["bytes"] for shard in index.shards)
    lines = [
        f"{folder}: {index.kind}, {len(index.shards)} shards, {n_bytes / storage.MIB:.1f} MiB, {len(index.images)} images,"
        f" {sum(shard['rows'] for shard in index.shards)} features of {index.dim}",
        *(f"  {key}: {value}" for key, value in index.provenance.items()),
    ]
    if index.graphs:
        shard_index.verify(folder, index.graphs)
        lines.append(f"  component graphs: {index.graphs['nodes']} components, {index.graphs['edges']} contacts")
    if index.kind == "rows":
        lines += [
            f"  {'class':24}{'rows':>9}{'mean':>9}{'std':>9}{'max':>9}{'non-zero':>10}{'dead':>6} (always zero, of {index.dim})"
        ]
        # Without labels, an empty class means nothing, so classes are not listed.
        classes = enumerate(index.classes) if rows.counts(index).any() else ()
        groups = [*classes, (rows.UNLABELLED, "(no label)")]
    else:
        groups = [(None, "all")]
    totals, formats = {name: Moments() for _, name in groups}, set()
    for shard in index.shards:
        with hdf5.reading(shard_index.verify(folder, shard)) as file:
            formats.add(stored_features.storage_of(file))
            for label, name in groups:
                totals[name].add(stored_features.read(file, _rows_of(label, shard)))
    lines[0] += "".join(f" {one}" for one in sorted(formats))
    lines += [f"  {name:24}{totals[name]}" for _, name in groups if totals[name].count]
    empty_classes = [name for label, name in groups if label not in (None, rows.UNLABELLED) and not totals[name].count]
    if empty_classes:
        lines.append(f"  classes without rows (expected for unseen classes only): {', '.join(empty_classes)}")
    return "\n".join(lines)


class Moments:
    """Running moments of features, and which of the d features were ever non-zero."""

    def __init__(self) -> None:
        self.count = self.nonzero = 0
        self.sum = self.squares = self.max = 0.0
        self.active: np.ndarray = np.zeros(0, bool)

    def add(self, features: np.ndarray) -> None:
        """Add features (n, d) of any float type."""
        if not features.size:
            return
        values = features.astype(np.float32)
        self.count += len(values)
        self.sum += float(values.sum(dtype=np.float64))
        self.squares += float(np.square(values).sum(dtype=np.float64))
        self.max = max(self.max, float(values.max()))
        self.nonzero += int(np.count_nonzero(values))
        active = values.any(axis=0)
        self.active = np.logical_or(self.active, active) if self.active.size else np.asarray(active)

    def always_zero(self) -> int:
        """Return how many of the d features were zero in every row."""
        return int((~self.active).sum())

    def __str__(self) -> str:
        n = self.count * len(self.active)
        mean = self.sum / n
        std = max(self.squares / n - mean**2, 0) ** 0.5
        return f"{self.count:9}{mean:9.3f}{std:9.3f}{self.max:9.2f}{100 * self.nonzero / n:9.1f}%{self.always_zero():6}"


def _rows_of(label: int | None, shard: shard_index.Shard) -> slice:
    if label is None:
        return slice(None)
    offsets = shard.get("offsets", [])
    return slice(offsets[-1], None) if label == rows.UNLABELLED else slice(offsets[label], offsets[label + 1])
