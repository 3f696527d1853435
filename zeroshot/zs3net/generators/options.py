"""What every generator can be told, whatever it is made of."""

from collections.abc import Sequence
from typing import Annotated, Literal

import pydantic
import torch

from zeroshot.base import params
from zeroshot.zs3net.generators import mmd


@params.section
class Options:
    """The keys of the section `gmmn` that generators share; see params.yaml."""

    generator: str
    kernel: mmd.Reading
    bandwidths: Annotated[tuple[params.Positive, ...], pydantic.Field(min_length=1)]
    estimator: mmd.Estimator
    epochs: params.Count
    steps_per_epoch: params.Count
    lr: params.Positive
    seed: params.Seed
    hidden_dim: params.Count
    noise_dim: params.Count
    noise: Literal["gaussian", "uniform"]
    dropout: params.Fraction
    sampling_dropout: bool
    output: Literal["linear", "relu"]
    pool_per_class: params.Count
    batch_per_class: Annotated[int, pydantic.Field(ge=2)]

    def draw_noise(self, shape: Sequence[int], random: torch.Generator) -> torch.Tensor:
        """Return noise z (*shape, noise_dim) float32 on the CPU, from `random`."""
        draw = torch.randn if self.noise == "gaussian" else torch.rand
        return draw((*shape, self.noise_dim), generator=random)
