"""Pools of real features: a bounded sample of the cache, in memory and sorted by class."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from zeroshot.cache import rows


@dataclasses.dataclass(frozen=True)
class Pool:
    """Real features of c classes, from which training batches are sampled.

    Attributes:
        features: (m, d) float16, sorted by class.
        starts: (c + 1,) int64; the rows of class k are starts[k]:starts[k + 1].
        labels: (c,) int64, label id of each class.
        sizes: (c,) float64, number of cells of each class in the training images.
    """

    features: torch.Tensor
    starts: torch.Tensor
    labels: torch.Tensor
    sizes: torch.Tensor


def hold_out(sampled: rows.Rows, share: float, seed: int) -> tuple[rows.Rows, rows.Rows]:
    """Split a sample by images into training rows and held-out rows. Pixels of one image are too similar to split by rows.

    If all images of a class are chosen for the held-out part, they all stay in the training part.

    Args:
        sampled: rows with their `image` and `label`.
        share: probability that an image is held out.
        seed: the only source of randomness.

    Returns:
        the training rows, and the held-out rows.
    """
    held_out_images = np.random.default_rng(seed).random(sampled["image"].max() + 1) < share
    for label in np.unique(sampled["label"]):
        images = sampled["image"][sampled["label"] == label]
        if held_out_images[images].all():
            held_out_images[images] = False
    held_out_rows = held_out_images[sampled["image"]]
    return rows.keep(sampled, ~held_out_rows), rows.keep(sampled, held_out_rows)


def select(sampled: rows.Rows, labels: Sequence[int]) -> Pool:
    """Return a pool of the rows of `labels` (ascending label ids) in a sample sorted by class; a class without rows is absent."""
    keep = np.isin(sampled["label"], list(labels))
    present, counts = np.unique(sampled["label"][keep], return_counts=True)
    return Pool(
        torch.from_numpy(sampled["features"][keep]),
        torch.from_numpy(np.concatenate([[0], np.cumsum(counts)])),
        torch.from_numpy(present.astype(np.int64)),
        torch.from_numpy(np.bincount(sampled["label"][keep], weights=sampled["weight"][keep])[present]),
    )


def restrict(real: Pool, keep: torch.Tensor) -> Pool:
    """Return a pool of the rows where `keep` (m,) bool is true; classes without rows are removed, `sizes` of the others stay."""
    counts = torch.stack([part.sum() for part in keep.split(real.starts.diff().tolist())])
    nonempty = counts > 0
    starts = torch.cat([counts.new_zeros(1), counts[nonempty].cumsum(0)])
    return Pool(real.features[keep], starts, real.labels[nonempty], real.sizes[nonempty])


def empty(dim: int) -> Pool:
    """Return a pool without features, of length `dim`."""
    none = torch.zeros(0, dtype=torch.int64)
    return Pool(torch.zeros(0, dim, dtype=torch.float16), torch.zeros(1, dtype=torch.int64), none, none.double())


def batch(real: Pool, per_class: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample `per_class` rows of every class, without replacement.

    Returns:
        features (c, per_class, d) float32, and a mask (c, per_class) bool, False where a class has fewer rows.
    """
    index, mask = draw_rows(real, per_class, generator)
    return real.features[index].float(), mask


def draw_rows(real: Pool, per_class: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample rows as `batch` does; return their row numbers (c, per_class) int64, and the mask.

    A class with fewer rows repeats them, so that every row number is one of its own.
    """
    counts = real.starts.diff()
    position = torch.arange(per_class)
    orders = [torch.randperm(count, generator=generator)[position % count] for count in counts.tolist()]
    return real.starts[:-1, None] + torch.stack(orders), position < counts[:, None]


def draw(real: Pool, classes: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Sample one feature for each entry of `classes` (n,), indices into real.labels; return (n, d) float32."""
    counts = real.starts.diff()[classes]
    offset = (torch.rand(len(classes), generator=random, dtype=torch.float64) * counts).long()
    return real.features[real.starts[classes] + offset].float()


def of_class(real: Pool, label: int) -> torch.Tensor:
    """Return all features (n, d) float32 of one label id; n is 0 if the pool has no such row."""
    return real.features[torch.repeat_interleave(real.labels, real.starts.diff()) == label].float()
