"""The generative moment matching network: training and sampling (paper section 2.2, step 1)."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pydantic
import torch
from torch import nn

from zs3 import errors, generators, mmd, params, pools, training

HELD_OUT_SHARE = 0.1


@params.section
class Params:
    """The section `gmmn`; see params.yaml."""

    generator: generators.Name
    hidden_dim: params.Count
    noise_dim: params.Count
    noise: Literal["gaussian", "uniform"]
    dropout: params.Fraction
    sampling_dropout: bool
    output: generators.Output
    bandwidths: Annotated[tuple[params.Positive, ...], pydantic.Field(min_length=1)]
    kernel: mmd.Reading
    estimator: mmd.Estimator
    pool_per_class: params.Count
    batch_per_class: Annotated[int, pydantic.Field(ge=2)]
    epochs: params.Count
    steps_per_epoch: params.Count
    lr: params.Positive
    seed: params.Seed


@dataclasses.dataclass
class Generator:
    """A trained generator with what it takes to sample from it.

    Attributes:
        network: maps (embeddings, noise) to features.
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
            random: the source of the noise (and, with `sampling_dropout`, torch's global generator).

        Returns:
            (..., d) float32 on the device of `embeddings`.
        """
        shape = (*labels.shape, self.options.noise_dim)
        draw = torch.randn if self.options.noise == "gaussian" else torch.rand
        noise = draw(shape, generator=random).to(self.embeddings.device)
        return self.network(self.embeddings[labels.to(self.embeddings.device)], noise)


def build(options: Params, embeddings: torch.Tensor, feature_dim: int, device: torch.device) -> Generator:
    """Return an untrained generator; its initial weights depend on `options.seed` alone."""
    training.seed_torch(options.seed)
    network = generators.GENERATORS[options.generator](
        embeddings.shape[1], options.noise_dim, options.hidden_dim, feature_dim, options.dropout, options.output
    )
    return Generator(network.to(device), embeddings.to(device), feature_dim, options)


def fit(generator: Generator, real: pools.Pool) -> Iterator[dict[str, float]]:
    """Train `generator` in place to match the real features of every class of `real`, all classes in one step.

    Yields:
        after each epoch {epoch, loss, live_kernels}: the mean loss over steps and classes, and the share of live kernels.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    options = generator.options
    device = generator.embeddings.device
    random = torch.Generator().manual_seed(options.seed)
    kernel_variances = mmd.variances(options.bandwidths, options.kernel, median(real, options))
    optimizer = torch.optim.Adam(generator.network.parameters(), lr=options.lr)
    labels = real.labels[:, None].expand(-1, options.batch_per_class)
    generator.network.train()
    for epoch in range(options.epochs):
        total = 0.0
        for step in range(options.steps_per_epoch):
            x, mask = (tensor.to(device) for tensor in pools.batch(real, options.batch_per_class, random))
            loss = mmd.mmd(x, generator.sample(labels, random), kernel_variances, options.estimator, mask).mean()
            total += training.check_finite(loss.item(), "gmmn", epoch, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        live = mmd.live_share(x, kernel_variances, mask)
        yield {"epoch": epoch, "loss": total / options.steps_per_epoch, "live_kernels": live}
    generator.network.train(options.sampling_dropout)


def median(real: pools.Pool, options: Params) -> float:
    """Return the median squared distance within a class of one batch of the pool.

    Raises:
        errors.UserError: if it is not positive, so that no kernel could be scaled by it.
    """
    x, mask = pools.batch(real, options.batch_per_class, torch.Generator().manual_seed(options.seed))
    value = mmd.median_squared_distance(x, mask)
    if options.kernel == "median" and not value > 0:
        raise errors.UserError(
            f"gmmn.kernel: median needs features that differ within a class; their median squared distance is {value}"
        )
    return value


@torch.no_grad()
def quality(generator: Generator, held_out: pools.Pool, real: pools.Pool) -> list[dict[str, Any]]:
    """Compare generated with held-out real features, class by class, beside real with held-out real ones.

    Returns:
        rows {label, features, mmd} for each class of `held_out`, `features` being `generated` and `real`: unbiased squared MMD, so
        about 0 is as good as real; None where a side has fewer than two features, of which there is no unbiased estimate.
    """
    options = generator.options
    kernel_variances = mmd.variances(options.bandwidths, options.kernel, median(real, options))
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
