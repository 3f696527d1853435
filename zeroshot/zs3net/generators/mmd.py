"""Maximum mean discrepancy between populations of features, for all classes at once (paper section 2.2, L_GMMN)."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch

Convention = Literal["paper", "release", "median"]
Estimator = Literal["biased", "biased_sqrt", "unbiased"]
# Keeps the gradient of the square root finite where two populations are equal.
_SQRT_FLOOR = 1e-8
# How often exp(-s / 2v) is squared to become that of a variance which is so many times smaller. It is faster than an exponential.
_SQUARINGS = {1.0: 0, 2.0: 1, 4.0: 2}


def variances(bandwidths: Sequence[float], convention: Convention, median: float) -> list[float]:
    """Return v of the kernels k(x, y) = exp(-|x - y|^2 / (2 v)).

    Args:
        bandwidths: one number for each kernel.
        convention: `paper`: v = sigma^2 (section 2.2); `release`: v = sigma (the released code does not square);
            `median`: v = sigma * median, so that bandwidths are multiples of the scale of the features.
        median: the median squared distance within a class, see `median_squared_distance`.
    """
    scale = {"paper": lambda s: s * s, "release": lambda s: s, "median": lambda s: s * median}[convention]
    return [float(scale(sigma)) for sigma in bandwidths]


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return |x_i - y_j|^2 of (c, n, d) and (c, m, d) as (c, n, m), never negative.

    Both are centred first: far from the origin, |x|^2 + |y|^2 - 2 xy loses digits that the kernels need.
    """
    centre = x.mean(dim=1, keepdim=True).detach()
    x, y = x - centre, y - centre
    return _expand(x, torch.linalg.vecdot(x, x), y, torch.linalg.vecdot(y, y))


def _expand(x: torch.Tensor, xx: torch.Tensor, y: torch.Tensor, yy: torch.Tensor) -> torch.Tensor:
    """Return xx + yy - 2 xy, clamped at 0, of x (c, n, d), y (c, m, d) and their squared norms (c, n) and (c, m)."""
    return torch.baddbmm(xx[:, :, None] + yy[:, None, :], x, y.transpose(1, 2), alpha=-2).clamp(min=0)


class _SumOfGaussians(torch.autograd.Function):
    """The sum of kernels. The forward pass also computes its derivative, to store one matrix instead of one for each kernel."""

    @staticmethod
    def forward(ctx: Any, squared: torch.Tensor, kernel_variances: Sequence[float]) -> torch.Tensor:
        value = torch.zeros_like(squared)
        derivative = torch.zeros_like(squared) if ctx.needs_input_grad[0] else None
        kernel, before = value, math.inf
        for variance in sorted(kernel_variances, reverse=True):
            squarings = _SQUARINGS.get(before / variance)
            if squarings is None:
                kernel = (squared * (-0.5 / variance)).exp_()
            else:
                for _ in range(squarings):
                    kernel.mul_(kernel)
            before = variance
            value += kernel
            if derivative is not None:
                derivative.add_(kernel, alpha=-0.5 / variance)
        ctx.save_for_backward(derivative)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        ((derivative,), (gradient,)) = ctx.saved_tensors, gradients
        return gradient * derivative, None


def gaussian(squared: torch.Tensor, kernel_variances: Sequence[float]) -> torch.Tensor:
    """Return the sum over kernels of exp(-squared / (2 v)), in the shape of `squared`."""
    return _SumOfGaussians.apply(squared, kernel_variances)


def mmd(
    x: torch.Tensor,
    y: torch.Tensor,
    kernel_variances: Sequence[float],
    estimator: Estimator,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Estimate the squared MMD between x and y, class by class, summed over the kernels.

    The estimate is mean k(x, x') + mean k(y, y') - 2 mean k(x, y). The paper has sums in place of the means; with means, classes and
    populations may differ in size.

    Args:
        x: (c, n, d) float32, real features.
        y: (c, m, d) float32, generated features.
        kernel_variances: v of each kernel.
        estimator: `biased` includes the pairs of a feature with itself (never negative, too large by O(1/n)); `biased_sqrt` is its
            square root, as in the released code; `unbiased` excludes them and is negative half of the time if x and y have one
            distribution.
        mask: (c, n) bool, which rows of x count; all if None.

    Returns:
        (c,) float32.
    """
    w = torch.ones(x.shape[:2], device=x.device) if mask is None else mask.float()
    w = w / w.sum(dim=1, keepdim=True)
    u = torch.full(y.shape[:2], 1 / y.shape[1], device=y.device)
    unbiased = estimator == "unbiased"
    # All three matrices share the centre and the norms, which are the larger part of the work: d is greater than n and m.
    centre = x.mean(dim=1, keepdim=True).detach()
    x, y = x - centre, y - centre
    xx, yy = torch.linalg.vecdot(x, x), torch.linalg.vecdot(y, y)
    within = _mean(_expand(x, xx, x, xx), w, w, kernel_variances, unbiased)
    within = within + _mean(_expand(y, yy, y, yy), u, u, kernel_variances, unbiased)
    across = _mean(_expand(x, xx, y, yy), w, u, kernel_variances, False)
    value = within - 2 * across
    return (value.clamp(min=0) + _SQRT_FLOOR).sqrt() if estimator == "biased_sqrt" else value


def active_share(
    x: torch.Tensor,
    kernel_variances: Sequence[float],
    mask: torch.Tensor | None = None,
    low: float = 0.01,
    high: float = 0.99,
) -> float:
    """Return the share of active kernels: those whose mean over pairs of one class is between `low` and `high`.

    A kernel whose values are all near 0, or all near 1, does not distinguish features, and its gradient vanishes.

    Args:
        x: (c, n, d) float32.
        kernel_variances: v of each kernel.
        mask: (c, n) bool, which rows of x count; all if None.
        low: mean above which a kernel is active.
        high: mean below which a kernel is active.
    """
    squared = _squared_of_pairs(x, mask)
    means = [gaussian(squared, [variance]).mean().item() for variance in kernel_variances]
    return sum(low < mean < high for mean in means) / len(means)


def median_squared_distance(x: torch.Tensor, mask: torch.Tensor | None = None) -> float:
    """Return the median of |x_i - x_j|^2 over pairs of different rows of one class, for x (c, n, d) and mask (c, n) bool."""
    return _squared_of_pairs(x, mask).median().item()


def _squared_of_pairs(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return |x_i - x_j|^2 of all pairs of different rows of one class, flat."""
    mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
    pairs = mask[:, :, None] & mask[:, None, :] & ~torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
    return squared_distances(x, x)[pairs]


def _mean(
    squared: torch.Tensor, w: torch.Tensor, u: torch.Tensor, kernel_variances: Sequence[float], unbiased: bool
) -> torch.Tensor:
    """Return the mean (c,) of the kernels of squared (c, n, m), weighted by w (c, n) and u (c, m), each of sum 1 over its rows.

    With `unbiased`, rows and columns are the same features, and pairs of a feature with itself are excluded.
    """
    values = gaussian(squared, kernel_variances)
    total = torch.linalg.vecdot(torch.bmm(values, u[:, :, None])[:, :, 0], w)
    if not unbiased:
        return total
    # The kernel of a feature with itself is 1 up to rounding, so its computed value is subtracted.
    diagonal = (w.square() * values.diagonal(dim1=1, dim2=2)).sum(dim=1)
    # A class of a single row has no pair; its term is then 0.
    return (total - diagonal) / (1 - w.square().sum(dim=1)).clamp(min=torch.finfo(w.dtype).eps)
