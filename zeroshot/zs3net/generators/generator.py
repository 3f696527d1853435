"""The base class of all generators of features: options, class embeddings, noise and training mode (paper section 2.2, step 1)."""

import abc
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import pydantic
import torch
from torch import nn

from zeroshot.base import params
from zeroshot.cache import pools
from zeroshot.zs3net.generators import mmd


@params.section
class Options:
    """The keys of the section `gmmn` that generators share; see params.yaml."""

    generator: str
    kernel: mmd.Convention
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
    precision: Literal["float32", "bfloat16"]
    pool_per_class: params.Count
    batch_per_class: Annotated[int, pydantic.Field(ge=2)]


class Generator(nn.Module, abc.ABC):
    """A trainable `feature_source.FeatureSource`; a subclass defines sampling and training.

    Its `state_dict` must hold all that sampling needs except the embeddings. So each result of `epochs` is a parameter, a buffer or part
    of `get_extra_state`.

    Attributes:
        options: the section `gmmn`.
        embeddings: (C, d_a) float32, of all classes in label order.
        feature_dim: d, the length of a feature.
        lr_key: the parameter with the learning rate of its training, for errors.
    """

    lr_key = "gmmn.lr"
    embeddings: torch.Tensor

    def __init__(self, options: Options, embeddings: torch.Tensor, feature_dim: int) -> None:
        super().__init__()
        self.options = options
        self.feature_dim = feature_dim
        self.register_buffer("embeddings", embeddings, persistent=False)

    @property
    def device(self) -> torch.device:
        """The device of the sampled features."""
        return self.embeddings.device

    def section(self) -> Any:
        """Return the options of this kind of generator only: the section `gmmn.NAME`."""
        return getattr(self.options, self.options.generator)

    @property
    def provenance(self) -> dict[str, str]:
        """Values to record in every result of this generator; none by default."""
        return {}

    @abc.abstractmethod
    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return one synthetic feature (..., d) for each label (...,); see `feature_source.FeatureSource`."""

    @abc.abstractmethod
    def epochs(self, real: pools.Pool, context: Any) -> Iterator[dict[str, Any]]:
        """Train in place, already in training mode, and yield {epoch, loss, ...} after each epoch; see `fit`."""

    def fit(self, real: pools.Pool, context: Any = None) -> Iterator[dict[str, Any]]:
        """Train in place on the real features of every class of `real`; see `feature_source.FeatureSource`."""
        self.train()
        yield from self.epochs(real, context)
        self.train(self.options.sampling_dropout)

    def noise(self, shape: Sequence[int], random: torch.Generator) -> torch.Tensor:
        """Return noise z (*shape, noise_dim) float32 on `device`, sampled on the CPU from `random`."""
        distribution = torch.randn if self.options.noise == "gaussian" else torch.rand
        return distribution((*shape, self.options.noise_dim), generator=random).to(self.device)
