"""Moment matching: kernel variances for given features, training by MMD, and the quality of generated features.

All classes are matched in one step (paper section 2.2, step 1).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from zeroshot.base import errors, training
from zeroshot.cache import pools
from zeroshot.zs3net import feature_source
from zeroshot.zs3net.generators import generator, mmd

# Share of the training images that `quality` compares with.
HELD_OUT_SHARE = 0.1
# Generated features whose root mean square is this many times that of real ones are of no use.
FAR = 100.0


class Batch(NamedTuple):
    """The features of one step, for c classes.

    Attributes:
        features: (c, n, d) float32, real features.
        real: (c, n, k) float32, vectors of the real features that the loss compares: the features, perhaps extended by their context.
        fake: (c, n, k) float32, the same of the generated features.
        mask: (c, n) bool, which real features count; the others fill up classes with fewer than n.
    """

    features: torch.Tensor
    real: torch.Tensor
    fake: torch.Tensor
    mask: torch.Tensor


def epochs(
    network: nn.Module, draw: Callable[[], Batch], kernel_variances: Sequence[float], options: generator.Options
) -> Iterator[dict[str, Any]]:
    """Train the network in place with Adam.

    Args:
        network: the generator to train.
        draw: returns the batch of a step.
        kernel_variances: v of each kernel.
        options: epochs, steps, learning rate and estimator.

    Yields:
        after each epoch {epoch, loss, active_kernels}: the mean loss over steps and classes, and the share of active kernels.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=options.lr)
    for epoch in range(options.epochs):
        total, active = 0.0, 0.0
        for step in range(options.steps_per_epoch):
            batch = draw()
            loss = mmd.mmd(batch.real, batch.fake, kernel_variances, options.estimator, batch.mask).mean()
            total += training.check_finite(loss.item(), "gmmn", epoch, step, generator.Generator.lr_key)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step == options.steps_per_epoch - 1:
                active = mmd.active_share(batch.features, kernel_variances, batch.mask)
        yield {"epoch": epoch, "loss": total / options.steps_per_epoch, "active_kernels": active}


def variances(real: pools.Pool, options: generator.Options) -> list[float]:
    """Return v of exp(-|x - y|^2 / 2v) for each bandwidth.

    Raises:
        errors.UserError: if the kernels are multiples of a median that is not positive.
    """
    return mmd.variances(options.bandwidths, options.kernel, median(real, options))


def median(real: pools.Pool, options: generator.Options) -> float:
    """Return the median squared distance within a class of one batch of the pool.

    Raises:
        errors.UserError: if it is not positive and kernels are scaled by it.
    """
    x, mask = pools.batch(real, options.batch_per_class, torch.Generator().manual_seed(options.seed))
    value = mmd.median_squared_distance(x, mask)
    if options.kernel == "median" and not value > 0:
        raise errors.UserError(
            f"gmmn.kernel: median needs features that differ within a class; their median squared distance is {value}"
        )
    return value


@torch.no_grad()
def quality(
    source: feature_source.FeatureSource, held_out: pools.Pool, real: pools.Pool, options: generator.Options
) -> list[dict[str, Any]]:
    """Compare held-out real features with generated ones and, as a reference, with other real ones, class by class.

    Args:
        source: the trained generator.
        held_out: real features of images that did not train it.
        real: real features that trained it.
        options: the kernels and the seed.

    Returns:
        rows {label, features, mmd}, two for each class of `held_out`: `features` is `generated` or `real`, `mmd` the unbiased squared
        MMD, which is about 0 for features as good as real ones. It is None where a side has fewer than two features, too few for an
        unbiased estimate.
    """
    kernel_variances = variances(real, options)
    random = torch.Generator().manual_seed(options.seed)
    table = []
    for label in held_out.labels.tolist():
        x = pools.of_class(held_out, label)
        other = pools.of_class(real, label)
        # The pool is sorted by image, so its first rows would come from few images.
        other = other[torch.randperm(len(other), generator=random)[: len(x)]]
        fake = source.sample(torch.full((len(x),), label), random).cpu()
        for name, y in (("generated", fake), ("real", other)):
            table.append({"label": label, "features": name, "mmd": _unbiased(x, y, kernel_variances)})
    return table


@torch.no_grad()
def check_features(
    source: feature_source.FeatureSource, real: pools.Pool, options: generator.Options, lr_key: str
) -> None:
    """Refuse a generator that diverged. Its loss does not tell, because kernels of distant features are 0.

    Args:
        source: the trained generator.
        real: real features that trained it.
        options: the seed.
        lr_key: the parameter with its learning rate, for the text.

    Raises:
        training.DivergedError: if its features are not finite, all equal, or `FAR` times as large as the real ones.
    """
    random = torch.Generator().manual_seed(options.seed)
    fake = source.sample(real.labels.repeat_interleave(16), random).cpu()
    size, real_size = (x.double().square().mean().sqrt().item() for x in (fake, real.features))
    if bool((fake == fake[0]).all()):
        fault = "are all equal"
    elif not size <= FAR * real_size:
        fault = f"have a root mean square of {size:.3g}, and real ones of {real_size:.3g}"
    else:
        return
    raise training.DivergedError(f"gmmn: the generated features {fault}, so the training diverged; lower {lr_key}")


def _unbiased(x: torch.Tensor, y: torch.Tensor, kernel_variances: list[float]) -> float | None:
    """Return the unbiased squared MMD of (n, d) and (m, d), None if n or m is below 2."""
    return mmd.mmd(x[None], y[None], kernel_variances, "unbiased").item() if min(len(x), len(y)) > 1 else None
