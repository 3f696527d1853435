"""Two Gaussian classes, and small generators of features."""

import numpy as np
import torch

from tests.support import quick_sections
from zeroshot.cache import pools
from zeroshot.zs3net.generators import matching, registry

CPU = torch.device("cpu")


def two_classes(n=150, seed=0):
    """Return a pool of two Gaussian classes, labels 0 and 1, with different means and standard deviations."""
    rng = np.random.default_rng(seed)
    features = np.concatenate([rng.normal(1, 0.5, (n, 4)), rng.normal([4, 0, 2, 1], 1.0, (n, 4))])
    labels = np.repeat([0, 1], n).astype(np.uint16)
    return pools.select({"features": features.astype(np.float16), "label": labels, "weight": np.ones(2 * n)}, [0, 1])


def build(embeddings=None, feature_dim=4, **changes):
    """Return an untrained generator with the quick section `gmmn`, updated by `changes`."""
    embeddings = torch.eye(2) if embeddings is None else embeddings
    return registry.build(quick_sections.gmmn_options(**changes), embeddings, feature_dim, CPU)


def trained(real=None, **changes):
    """Return a generator trained on `real`, by default on `two_classes()`, and its training curve."""
    generator = build(**({"output": "linear", "epochs": 2} | changes))
    curve = list(generator.fit(real or two_classes()))
    return generator, curve


def draw(generator, labels, seed=0):
    """Return the features that a generator samples for label ids."""
    with torch.no_grad():
        return generator.sample(torch.as_tensor(labels), torch.Generator().manual_seed(seed))


def by_class(rows):
    """Return the rows of `matching.quality` as {label: {features: mmd}}."""
    table = {}
    for row in rows:
        assert set(row) == {"label", "features", "mmd"} and row["features"] not in table.get(row["label"], {})
        table.setdefault(row["label"], {})[row["features"]] = row["mmd"]
    assert all(list(mmds) == ["generated", "real"] for mmds in table.values())
    return table


def quality(generator, held_out, real):
    """Return {label: {features: mmd}} of a generator, compared with held-out features."""
    return by_class(matching.quality(generator, held_out, real, generator.options))
