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
# Kernels that are computed together. So few stay in the processor's cache from one bandwidth to the next.
_KERNELS_AT_ONCE = 2**17


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


def gaussian(squared: torch.Tensor, kernel_variances: Sequence[float]) -> torch.Tensor:
    """Return the sum over kernels of exp(-squared / (2 v)), in the shape of `squared`, without a gradient."""
    return _kernels(squared, kernel_variances)[0]


def _kernels(
    squared: torch.Tensor, kernel_variances: Sequence[float], with_derivative: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the sum of the kernels of squared distances, and its derivative by them; None if it is not wanted."""
    value = torch.zeros_like(squared)
    derivative = torch.zeros_like(squared) if with_derivative else None
    n_rows = max(1, _KERNELS_AT_ONCE // max(1, squared[:1].numel()))
    for first in range(0, len(squared), n_rows):
        part = slice(first, first + n_rows)
        kernel, before = squared[part], math.inf
        for variance in sorted(kernel_variances, reverse=True):
            squarings = _SQUARINGS.get(before / variance)
            if squarings is None:
                kernel = (squared[part] * (-0.5 / variance)).exp_()
            else:
                for _ in range(squarings):
                    kernel.mul_(kernel)
            before = variance
            value[part] += kernel
            if derivative is not None:
                derivative[part].add_(kernel, alpha=-0.5 / variance)
    return value, derivative


class _MeanKernel(torch.autograd.Function):
    """The mean (c,) of the kernels of x (c, n, d) and y (c, m, d), weighted by w (c, n) and u (c, m), each of sum 1 over its rows.

    With s_ij = |x_i - y_j|^2 and K' the derivative of the kernels' sum K, the gradient to x_i is 2 sum_j w_i u_j K'(s_ij) (x_i - y_j).
    In this closed form it takes one matrix product, and none of the passes over matrices that the chain rule needs.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        y: torch.Tensor,
        w: torch.Tensor,
        u: torch.Tensor,
        kernel_variances: Sequence[float],
        within: bool,
    ) -> torch.Tensor:
        """`within`: y and u are x and w, and the gradient to x includes that through y."""
        squared = _expand(x, torch.linalg.vecdot(x, x), y, torch.linalg.vecdot(y, y))
        if within:
            # A feature is at no distance from itself, up to rounding.
            squared.diagonal(dim1=1, dim2=2).zero_()
        value, derivative = _kernels(squared, kernel_variances, any(ctx.needs_input_grad))
        ctx.save_for_backward(x, y, w, u, derivative)
        ctx.within = within
        return torch.linalg.vecdot(torch.bmm(value, u[:, :, None])[:, :, 0], w)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        (x, y, w, u, derivative), (gradient,) = ctx.saved_tensors, gradients
        factor = (4 if ctx.within else 2) * gradient[:, None] * w
        pairs = (derivative * factor[:, :, None]).mul_(u[:, None, :])
        of_x = of_y = None
        if ctx.needs_input_grad[0]:
            of_x = torch.baddbmm(pairs.sum(2)[:, :, None] * x, pairs, y, alpha=-1)
        if ctx.needs_input_grad[1] and not ctx.within:
            of_y = torch.baddbmm(pairs.sum(1)[:, :, None] * y, pairs.transpose(1, 2), x, alpha=-1)
        return of_x, of_y, None, None, None, None


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
    w = torch.ones_like(x[:, :, 0]) if mask is None else mask.to(x.dtype)
    w = w / w.sum(dim=1, keepdim=True)
    u = torch.full_like(y[:, :, 0], 1 / y.shape[1])
    unbiased = estimator == "unbiased"
    # Far from the origin, squared distances lose digits.
    centre = x.mean(dim=1, keepdim=True).detach()
    x, y = x - centre, y - centre
    within = _within(x, w, kernel_variances, unbiased) + _within(y, u, kernel_variances, unbiased)
    across = _MeanKernel.apply(x, y, w, u, kernel_variances, False)
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


def _within(x: torch.Tensor, w: torch.Tensor, kernel_variances: Sequence[float], unbiased: bool) -> torch.Tensor:
    """Return the mean (c,) of the kernels among x (c, n, d), weighted by w (c, n); `unbiased`: without those of a feature with itself."""
    total = _MeanKernel.apply(x, x.detach(), w, w, kernel_variances, True)
    if not unbiased:
        return total
    itself = w.square().sum(dim=1)
    # A class of a single row has no pair; its term is then 0.
    return (total - len(kernel_variances) * itself) / (1 - itself).clamp(min=torch.finfo(w.dtype).eps)
