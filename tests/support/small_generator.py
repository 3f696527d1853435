"""Two Gaussian classes, and small generators of their features."""

import numpy as np
import torch

from tests.support import quick_sections
from zeroshot.cache import pools
from zeroshot.zs3net.generators import matching, registry

CPU = torch.device("cpu")


def two_classes(n=150, seed=0):
    """Gaussians with different means and spreads, as a pool of labels 0 and 1."""
    rng = np.random.default_rng(seed)
    features = np.concatenate([rng.normal(1, 0.5, (n, 4)), rng.normal([4, 0, 2, 1], 1.0, (n, 4))])
    labels = np.repeat([0, 1], n).astype(np.uint8)
    return pools.select({"features": features.astype(np.float16), "label": labels, "weight": np.ones(2 * n)}, [0, 1])


def build(embeddings=None, feature_dim=4, **changes):
    """Return an untrained generator, its options changed where a test asks."""
    embeddings = torch.eye(2) if embeddings is None else embeddings
    return registry.build(quick_sections.gmmn_options(**changes), embeddings, feature_dim, CPU)


def trained(real=None, **changes):
    """Return a generator trained on `real`, by default on two classes, and the curve of its training."""
    generator = build(**({"output": "linear", "epochs": 2} | changes))
    curve = list(generator.fit(real or two_classes()))
    return generator, curve


def draw(generator, labels, seed=0):
    """Return features that a generator gives for label ids."""
    with torch.no_grad():
        return generator.sample(torch.as_tensor(labels), torch.Generator().manual_seed(seed))


def by_class(rows):
    """Return what `quality` gave as {label: {features: mmd}}."""
    table = {}
    for row in rows:
        assert set(row) == {"label", "features", "mmd"} and row["features"] not in table.get(row["label"], {})
        table.setdefault(row["label"], {})[row["features"]] = row["mmd"]
    assert all(list(own) == ["generated", "real"] for own in table.values())
    return table


def quality(generator, held_out, real):
    """Return {label: {features: mmd}} of a generator, against features that it did not learn from."""
    return by_class(matching.quality(generator, held_out, real, generator.options))
