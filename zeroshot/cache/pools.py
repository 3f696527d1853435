"""Real features in memory, by class: a bounded sample of the cache from which training draws (DESIGN.md, section 4, sampling)."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from zeroshot.cache import rows


@dataclasses.dataclass(frozen=True)
class Pool:
    """Real features by class, from which batches are drawn.

    Attributes:
        features: (m, d) float16, sorted by class.
        starts: (c + 1,) int64; the rows of class k are starts[k]:starts[k + 1].
        labels: (c,) int64, the label id of each class.
        sizes: (c,) float64, how many cells of the training images each class stands for.
    """

    features: torch.Tensor
    starts: torch.Tensor
    labels: torch.Tensor
    sizes: torch.Tensor


def hold_out(sampled: rows.Rows, share: float, seed: int) -> tuple[rows.Rows, rows.Rows]:
    """Part a sample by images, since pixels of one image are much alike.

    Where all images of a class were drawn to be held out, they are not.

    Args:
        sampled: rows with their `image` and `label`.
        share: about how many of the images go to the second part.
        seed: the only source of randomness.

    Returns:
        the rows to train on, and the rows held out.
    """
    drawn = np.random.default_rng(seed).random(sampled["image"].max() + 1) < share
    for label in np.unique(sampled["label"]):
        images = sampled["image"][sampled["label"] == label]
        if drawn[images].all():
            drawn[images] = False
    held = drawn[sampled["image"]]
    return {name: column[~held] for name, column in sampled.items()}, {
        name: column[held] for name, column in sampled.items()
    }


def select(sampled: rows.Rows, labels: Sequence[int]) -> Pool:
    """Keep the rows of `labels` (ascending label ids) of a sample sorted by class; a class without rows is left out."""
    keep = np.isin(sampled["label"], list(labels))
    present, counts = np.unique(sampled["label"][keep], return_counts=True)
    return Pool(
        torch.from_numpy(sampled["features"][keep]),
        torch.from_numpy(np.concatenate([[0], np.cumsum(counts)])),
        torch.from_numpy(present.astype(np.int64)),
        torch.from_numpy(np.bincount(sampled["label"][keep], weights=sampled["weight"][keep])[present]),
    )


def restrict(real: Pool, keep: torch.Tensor) -> Pool:
    """Return the rows where `keep` (m,) bool is true; a class without any left is left out, the sizes of others stay."""
    counts = torch.stack([part.sum() for part in keep.split(real.starts.diff().tolist())])
    left = counts > 0
    starts = torch.cat([counts.new_zeros(1), counts[left].cumsum(0)])
    return Pool(real.features[keep], starts, real.labels[left], real.sizes[left])


def empty(dim: int) -> Pool:
    """Return a pool without features, of length `dim`."""
    none = torch.zeros(0, dtype=torch.int64)
    return Pool(torch.zeros(0, dim, dtype=torch.float16), torch.zeros(1, dtype=torch.int64), none, none.double())


def batch(real: Pool, per_class: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `per_class` rows of every class, without replacement.

    Returns:
        features (c, per_class, d) float32, and a mask (c, per_class) bool that is False beyond the rows that a class has.
    """
    index, mask = draw_rows(real, per_class, generator)
    return real.features[index].float(), mask


def draw_rows(real: Pool, per_class: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Like `batch`, but return the numbers of the rows (c, per_class) int64 in place of their features."""
    counts = real.starts.diff()
    index = torch.zeros(len(counts), per_class, dtype=torch.int64)
    mask = torch.arange(per_class) < counts[:, None]
    for k, count in enumerate(counts.tolist()):
        drawn = torch.randperm(count, generator=generator)[:per_class]
        index[k, : len(drawn)] = real.starts[k] + drawn
    return index, mask


def draw(real: Pool, classes: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return one feature (n, d) float32 for each entry of `classes` (n,), an index into real.labels."""
    counts = real.starts.diff()[classes]
    offset = (torch.rand(len(classes), generator=random, dtype=torch.float64) * counts).long()
    return real.features[real.starts[classes] + offset].float()


def of_class(real: Pool, label: int) -> torch.Tensor:
    """Return all features (n, d) float32 of one label id, none if the pool has no row of it."""
    return real.features[torch.repeat_interleave(real.labels, real.starts.diff()) == label].float()
