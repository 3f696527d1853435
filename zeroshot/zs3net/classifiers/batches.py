"""The parts of a training batch: each has a fixed size, and comes from a pool of real features or from a source of features."""

import dataclasses
from collections.abc import Callable, Sequence

import torch

from zeroshot.base import errors
from zeroshot.cache import pools
from zeroshot.zs3net import feature_source


@dataclasses.dataclass(frozen=True)
class Part:
    """Labelled features of one origin in a batch.

    Attributes:
        count: number of features in every batch.
        draw: given a torch generator, returns features (count, d) float32 and their label ids (count,) int64 on the CPU.
    """

    count: int
    draw: Callable[[torch.Generator], tuple[torch.Tensor, torch.Tensor]]


def of_pool(pool: pools.Pool, odds: torch.Tensor, count: int) -> Part:
    """Return a part of real features: it samples a class in proportion to `odds` (c,), then a feature of it uniformly."""

    def draw(random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        classes = torch.multinomial(odds, count, replacement=True, generator=random)
        return pools.draw(pool, classes, random), pool.labels[classes]

    return Part(count, draw)


def of_source(source: feature_source.FeatureSource, odds: dict[int, float], count: int) -> Part:
    """Return a part of new features of `source`; a label is sampled in proportion to its value in `odds`."""
    labels = torch.tensor(list(odds), dtype=torch.int64)
    weights = torch.tensor(list(odds.values()))

    @torch.no_grad()
    def draw(random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        sampled_labels = labels[torch.multinomial(weights, count, replacement=True, generator=random)]
        return source.sample(sampled_labels, random), sampled_labels

    return Part(count, draw)


def sizes(weights: Sequence[float], batch_size: int, section: str) -> list[int]:
    """Return the size of each part, in proportion to `weights`; the first part takes the remainder.

    A part with a positive weight has at least one feature, and so has the first one.

    Args:
        weights: of the parts; the first one is positive.
        batch_size: features in a batch.
        section: the section of the parameters that has `batch_size`, for the error.

    Raises:
        errors.UserError: if the batch is smaller than the number of parts with a positive weight.
    """
    least = [int(weight > 0) for weight in weights]
    if batch_size < sum(least):
        raise errors.UserError(
            f"{section}.batch_size: {batch_size} has no room for {sum(least)} kinds of features; set it to {sum(least)} or more"
        )
    others = []
    for k, weight in enumerate(weights[1:], 1):
        room = batch_size - least[0] - sum(others) - sum(least[k + 1 :])
        others.append(min(max(round(batch_size * weight / sum(weights)), least[k]), room))
    return [batch_size - sum(others), *others]
