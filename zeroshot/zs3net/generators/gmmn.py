"""The generator of features, whichever it is: training, sampling, quality and storage (paper section 2.2, step 1)."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any

import pydantic
import torch
from torch import nn

from zeroshot.base import params, training
from zeroshot.cache import pools
from zeroshot.zs3net.generators import gan, graph, kernels, mmd, registry
from zeroshot.zs3net.generators import options as generator_options

HELD_OUT_SHARE = 0.1


@params.section
class Params(generator_options.Options):
    """The section `gmmn`; see params.yaml."""

    generator: Annotated[str, pydantic.AfterValidator(registry.known)]
    gan: gan.Params
    graph: graph.Params


@dataclasses.dataclass
class Generator:
    """A generator with what it takes to sample from it.

    Attributes:
        network: as its file in zeroshot/zs3net/generators built it.
        embeddings: (C, d_a) float32, of all classes in label order.
        feature_dim: d, the length of a feature.
        options: how it was made.
    """

    network: nn.Module
    embeddings: torch.Tensor
    feature_dim: int
    options: Params

    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return one synthetic feature for each label.

        Args:
            labels: (...,) int64 label ids.
            random: the source of all that is drawn (but, with `sampling_dropout`, dropout uses torch's global generator).

        Returns:
            (..., d) float32 on the device of `embeddings`.
        """
        implementation = registry.GENERATORS[self.options.generator]
        return implementation.sample(self.network, self.embeddings, labels, self.options, random)


def build(options: Params, embeddings: torch.Tensor, feature_dim: int, device: torch.device) -> Generator:
    """Return an untrained generator; its initial weights depend on `options.seed` alone."""
    training.seed_torch(options.seed)
    network = registry.GENERATORS[options.generator].build(embeddings.shape[1], feature_dim, options)
    return Generator(network.to(device), embeddings.to(device), feature_dim, options)


def fit(generator: Generator, real: pools.Pool, context: Any = None) -> Iterator[dict[str, float]]:
    """Train `generator` in place on the real features of every class of `real`.

    Args:
        generator: as `build` made it.
        real: features of the seen classes.
        context: what this kind of generator takes beside them (see its file in zeroshot/zs3net/generators).

    Yields:
        after each epoch {epoch, loss, ...}; what else there is depends on the generator.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    options = generator.options
    generator.network.train()
    implementation = registry.GENERATORS[options.generator]
    yield from implementation.fit(generator.network, generator.embeddings, real, options, context)
    generator.network.train(options.sampling_dropout)


@torch.no_grad()
def quality(generator: Generator, held_out: pools.Pool, real: pools.Pool) -> list[dict[str, Any]]:
    """Compare generated with held-out real features, class by class, beside real with held-out real ones.

    Returns:
        rows {label, features, mmd} for each class of `held_out`, `features` being `generated` and `real`: unbiased squared MMD, so
        about 0 is as good as real; None where a side has fewer than two features, of which there is no unbiased estimate.
    """
    options = generator.options
    kernel_variances = kernels.variances(real, options)
    random = torch.Generator().manual_seed(options.seed)
    table = []
    for label in held_out.labels.tolist():
        x = pools.of_class(held_out, label)
        other = pools.of_class(real, label)
        # The pool is in the order of images: its first rows are all from a few of them.
        other = other[torch.randperm(len(other), generator=random)[: len(x)]]
        fake = generator.sample(torch.full((len(x),), label), random).cpu()
        for name, y in (("generated", fake), ("real", other)):
            table.append({"label": label, "features": name, "mmd": _unbiased(x, y, kernel_variances)})
    return table


def _unbiased(x: torch.Tensor, y: torch.Tensor, kernel_variances: list[float]) -> float | None:
    """Return the unbiased squared MMD of (n, d) and (m, d), None if n or m is below 2."""
    return mmd.mmd(x[None], y[None], kernel_variances, "unbiased").item() if min(len(x), len(y)) > 1 else None


def save_dict(generator: Generator) -> dict[str, Any]:
    """Return a generator as plain values and tensors for a checkpoint."""
    return {
        "config": params.to_dict(generator.options),
        "feature_dim": generator.feature_dim,
        "embeddings": generator.embeddings,
        "network": generator.network.state_dict(),
    }


def load_dict(checkpoint: dict[str, Any], device: torch.device) -> Generator:
    """Rebuild a generator from what `save_dict` returned, ready to sample."""
    options = params.build(checkpoint["config"], Params, "gmmn", "generator checkpoint")
    generator = build(options, checkpoint["embeddings"], checkpoint["feature_dim"], device)
    generator.network.load_state_dict(checkpoint["network"])
    generator.network.train(options.sampling_dropout)
    return generator
