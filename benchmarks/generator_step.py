"""A training step of the generator beside its matrix products and exponentials alone, and its growth with the number of classes."""

from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from benchmarks import timing
from zeroshot.base import params
from zeroshot.cache import pools
from zeroshot.zs3net.generators import matching, mmd, registry

_DIM, _EMBEDDING_DIM, _NOISE_DIM, _HIDDEN_DIM = 256, 300, 300, 256


def measure() -> Iterator[timing.Timing]:
    """Yield the figures of steps with 64, 128 and 512 features of each of 20 classes, and of 20 and 200 classes."""
    n_kernels = len(_section().bandwidths)
    for precision in ("float32", "bfloat16"):
        for n in (64, 128, 512):
            step, formula, least = timing.fastest(
                _step(20, n, precision),
                _products(20, n, precision, _NOISE_DIM + _EMBEDDING_DIM, n_kernels),
                _products(20, n, precision, _NOISE_DIM, n_exponentials=1),
                rounds=5,
            )
            what = f"generator step, n = {n}, 20 classes, {precision}"
            yield timing.Timing(what, step, "products and exponentials of the formula", formula, "at most 1.25")
            yield timing.Timing(what, step, "products and exponentials that the step does", least)
    few, many = timing.fastest(_step(20, 64, "float32"), _step(200, 64, "float32"), rounds=3)
    yield timing.Timing("generator step, n = 64, 200 classes", many, "20 classes", few, "at most 10")


def _section() -> registry.Params:
    return params.load("params.yaml", "gmmn", registry.Params)


def _step(n_classes: int, n: int, precision: str) -> Callable[[], object]:
    """Return a function that trains for one step on random features, with the settings of params.yaml but for the sizes."""
    section = _section()
    sizes = {"noise_dim": _NOISE_DIM, "hidden_dim": _HIDDEN_DIM, "batch_per_class": n}
    changed = {**params.to_dict(section), **sizes, "generator": "mlp", "precision": precision}
    options = params.build(changed, registry.Params, "gmmn", "params.yaml")
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(n_classes)
    features = torch.rand(n_classes * 2 * n, _DIM, generator=random).half()
    starts = torch.arange(n_classes + 1) * 2 * n
    real = pools.Pool(features, starts, labels, torch.ones(n_classes).double())
    embeddings = torch.randn(n_classes, _EMBEDDING_DIM, generator=random)
    generator = registry.build(options, embeddings, _DIM, torch.device("cpu"))
    variances = matching.variances(real, options)
    optimizer = torch.optim.Adam(generator.parameters(), lr=options.lr)
    of_rows = labels[:, None].expand(-1, n)

    # A step of matching.epochs, without the share of active kernels, which is computed once an epoch.
    def step() -> None:
        x, mask = pools.batch(real, n, random)
        loss = mmd.mmd(x, generator.sample(of_rows, random), variances, options.estimator, mask).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _products(n_classes: int, n: int, precision: str, input_dim: int, n_exponentials: int) -> Callable[[], object]:
    """Return a function that does matrix products, forward and backward, and exponentials of a step, and nothing else.

    By the formula (paper section 2.2) noise and class vector of every feature are multiplied by the first layer, and each of the
    3 n^2 distances of a class has an exponential for every kernel. The step multiplies the class vector once a class, and takes one
    exponential a distance, since the kernels of doubled bandwidths are powers of each other.

    Args:
        n_classes: number of classes.
        n: features of each class.
        precision: number format of the generator's own products.
        input_dim: length of the input of the first layer.
        n_exponentials: exponentials of each distance.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    rows = n_classes * n
    given, hidden, out = (torch.randn(rows, dim).to(dtype) for dim in (input_dim, _HIDDEN_DIM, _DIM))
    first, second = torch.randn(_HIDDEN_DIM, input_dim).to(dtype), torch.randn(_DIM, _HIDDEN_DIM).to(dtype)
    x, pairs = torch.randn(n_classes, n, _DIM), torch.rand(n_classes, n, n)

    def products() -> None:
        functional.linear(given, first)
        functional.linear(hidden, second)
        # Gradients of both weights, and of the hidden neurons.
        torch.mm(hidden.T, given)
        torch.mm(out.T, hidden)
        torch.mm(out, second)
        for _ in range(3):
            torch.bmm(x, x.transpose(1, 2))
            for _ in range(n_exponentials):
                pairs.exp()
        # Gradients of the generated features: twice of the distances among them, once of those to the real ones.
        for _ in range(3):
            torch.bmm(pairs, x)

    return products
