"""The kernels of section `gmmn` at the scale of the features at hand."""

import torch

from zeroshot.base import errors
from zeroshot.cache import pools
from zeroshot.zs3net.generators import mmd
from zeroshot.zs3net.generators import options as generator_options


def variances(real: pools.Pool, options: generator_options.Options) -> list[float]:
    """Return v of exp(-|x - y|^2 / 2v) for each bandwidth.

    Raises:
        errors.UserError: if the kernels are multiples of a median that is not positive.
    """
    return mmd.variances(options.bandwidths, options.kernel, median(real, options))


def median(real: pools.Pool, options: generator_options.Options) -> float:
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
