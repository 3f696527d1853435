"""Sources of features of given classes, synthetic or real, on which a classifier trains."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

import torch

from zeroshot.cache import pools


class FeatureSource(Protocol):
    """A source of features of given classes: a generator of zeroshot/zs3net/generators, or `RealFeatures`."""

    @property
    def device(self) -> torch.device:
        """The device of the sampled features, on which to train with them."""
        ...

    def fit(self, real: pools.Pool, context: Any = None) -> Iterator[dict[str, Any]]:
        """Train in place, so that sampled features resemble the real ones.

        Args:
            real: features of the seen classes.
            context: further training data of this kind of source (see its file), or None.

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
            random: the source of randomness. With `gmmn.sampling_dropout`, dropout also uses torch's global generator.

        Returns:
            (..., d) float32 on `device`.
        """
        ...


@dataclasses.dataclass(frozen=True)
class RealFeatures:
    """Real features as a `FeatureSource`, for the feature oracle.

    Attributes:
        pool: features of the classes that can be sampled.
        device: the device of the sampled features.
    """

    pool: pools.Pool
    device: torch.device

    def fit(self, real: pools.Pool, context: Any = None) -> Iterator[dict[str, Any]]:
        """Yield nothing: real features need no training."""
        return iter(())

    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return for each label (...,) int64, one of `pool.labels`, a random feature of its class: (..., d) float32."""
        features = pools.draw(self.pool, torch.searchsorted(self.pool.labels, labels.ravel()), random)
        return features.reshape(*labels.shape, -1).to(self.device)
