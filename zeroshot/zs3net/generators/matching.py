"""Training by MMD: whatever generates them, features are brought to real ones, all classes in one step (paper section 2.2, step 1)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from zeroshot.base import training
from zeroshot.zs3net.generators import mmd
from zeroshot.zs3net.generators import options as generator_options


class Batch(NamedTuple):
    """One step's populations, a row of each for every class.

    Attributes:
        features: (c, n, d) real ones.
        real: (c, n, k) what is compared of them, by default themselves.
        fake: (c, n, k) what is compared of the generated ones.
        mask: (c, n) bool, which of the real ones there are.
    """

    features: torch.Tensor
    real: torch.Tensor
    fake: torch.Tensor
    mask: torch.Tensor


def fit(
    network: nn.Module,
    draw: Callable[[], Batch],
    kernel_variances: Sequence[float],
    options: generator_options.Options,
) -> Iterator[dict[str, Any]]:
    """Train the network in place with Adam.

    Yields:
        after each epoch {epoch, loss, live_kernels}: the mean loss over steps and classes, and the share of live kernels.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=options.lr)
    for epoch in range(options.epochs):
        total = 0.0
        for step in range(options.steps_per_epoch):
            batch = draw()
            loss = mmd.mmd(batch.real, batch.fake, kernel_variances, options.estimator, batch.mask).mean()
            total += training.check_finite(loss.item(), "gmmn", epoch, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        live = mmd.live_share(batch.features, kernel_variances, batch.mask)
        yield {"epoch": epoch, "loss": total / options.steps_per_epoch, "live_kernels": live}
