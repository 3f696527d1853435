"""Sources of labelled features: what a classifier asks for the features of classes, synthetic or real."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

import torch

from zeroshot.cache import pools


class FeatureSource(Protocol):
    """Gives features of the classes asked for: each generator in zeroshot/zs3net/generators, and `RealFeatures`."""

    @property
    def device(self) -> torch.device:
        """Where features are made, so where to train on them."""
        ...

    def fit(self, real: pools.Pool, context: Any = None) -> Iterator[dict[str, Any]]:
        """Learn in place to give features like the real ones.

        Args:
            real: features of the seen classes.
            context: what this kind of source reads beside them (see its file), or None.

        Yields:
            after each epoch {epoch, loss, ...}; the other keys depend on the source.

        Raises:
            training.DivergedError: at the first loss that is not finite.
        """
        ...

    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return one feature for each label.

        Args:
            labels: (...,) int64 label ids, on the CPU.
            random: the source of all randomness (but, with `gmmn.sampling_dropout`, dropout uses torch's global generator).

        Returns:
            (..., d) float32 on `device`.
        """
        ...


@dataclasses.dataclass(frozen=True)
class RealFeatures:
    """Real features as a `FeatureSource`, for the feature oracle.

    Attributes:
        pool: features of the classes that can be asked for.
        device: where features are given.
    """

    pool: pools.Pool
    device: torch.device

    def fit(self, real: pools.Pool, context: Any = None) -> Iterator[dict[str, Any]]:
        """Yield nothing: real features need no training."""
        return iter(())

    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return a random feature of the pool (..., d) float32 for each label (...,) int64, all of them in `pool.labels`."""
        features = pools.draw(self.pool, torch.searchsorted(self.pool.labels, labels.ravel()), random)
        return features.reshape(*labels.shape, -1).to(self.device)
