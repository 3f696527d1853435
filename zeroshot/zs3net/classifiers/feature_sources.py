"""Where the labelled features of a training step come from: a pool of real ones, or the generator."""

import dataclasses
from collections.abc import Callable, Sequence

import torch

from zeroshot.cache import pools
from zeroshot.zs3net.generators import gmmn


@dataclasses.dataclass(frozen=True)
class Source:
    """Labelled features of one kind.

    Attributes:
        count: how many of them are in every step.
        draw: from a torch generator to that many features (count, d) float32 and their label ids (count,) int64, on the CPU.
    """

    count: int
    draw: Callable[[torch.Generator], tuple[torch.Tensor, torch.Tensor]]


def of_pool(pool: pools.Pool, odds: torch.Tensor, count: int) -> Source:
    """Return a source that draws a class of `pool` with probability proportional to `odds` (c,), then any of its features."""

    def draw(random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        classes = torch.multinomial(odds, count, replacement=True, generator=random)
        return pools.draw(pool, classes, random), pool.labels[classes]

    return Source(count, draw)


def of_generator(generator: gmmn.Generator, odds: dict[int, float], count: int) -> Source:
    """Return a source of fresh synthetic features; a label of `odds` is drawn with probability proportional to its value."""
    labels = torch.tensor(list(odds), dtype=torch.int64)
    weights = torch.tensor(list(odds.values()))

    @torch.no_grad()
    def draw(random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = labels[torch.multinomial(weights, count, replacement=True, generator=random)]
        return generator.sample(wanted, random), wanted

    return Source(count, draw)


def counts(weights: Sequence[float], batch_size: int) -> list[int]:
    """Share a batch out among sources in proportion to `weights`; the first, which gets what is left over, has at least one."""
    others = [round(batch_size * weight / sum(weights)) for weight in weights[1:]]
    for k in range(len(others)):
        others[k] = min(others[k], batch_size - 1 - sum(others[:k]))
    return [batch_size - sum(others), *others]
