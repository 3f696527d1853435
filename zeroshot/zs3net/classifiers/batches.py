"""What a training batch is made of: parts of a fixed size, from a pool of real features or from a source of features."""

import dataclasses
from collections.abc import Callable, Sequence

import torch

from zeroshot.cache import pools
from zeroshot.zs3net import feature_source


@dataclasses.dataclass(frozen=True)
class Part:
    """Labelled features of one origin in a batch.

    Attributes:
        count: how many of them are in every batch.
        draw: from a torch generator to that many features (count, d) float32 and their label ids (count,) int64 on the CPU.
    """

    count: int
    draw: Callable[[torch.Generator], tuple[torch.Tensor, torch.Tensor]]


def of_pool(pool: pools.Pool, odds: torch.Tensor, count: int) -> Part:
    """Return a part that draws a class of `pool` with probability proportional to `odds` (c,), then any of its features."""

    def draw(random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        classes = torch.multinomial(odds, count, replacement=True, generator=random)
        return pools.draw(pool, classes, random), pool.labels[classes]

    return Part(count, draw)


def of_source(source: feature_source.FeatureSource, odds: dict[int, float], count: int) -> Part:
    """Return a part of features sampled anew; a label of `odds` is drawn with probability proportional to its value."""
    labels = torch.tensor(list(odds), dtype=torch.int64)
    weights = torch.tensor(list(odds.values()))

    @torch.no_grad()
    def draw(random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = labels[torch.multinomial(weights, count, replacement=True, generator=random)]
        return source.sample(chosen, random), chosen

    return Part(count, draw)


def sizes(weights: Sequence[float], batch_size: int) -> list[int]:
    """Share a batch out among its parts in proportion to `weights`; the first, which gets what is left over, has at least one."""
    others = [round(batch_size * weight / sum(weights)) for weight in weights[1:]]
    for k in range(len(others)):
        others[k] = min(others[k], batch_size - 1 - sum(others[:k]))
    return [batch_size - sum(others), *others]
