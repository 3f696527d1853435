import numpy as np
import torch

from tests.support import quick_sections, small_generator
from zeroshot.cache import pools
from zeroshot.zs3net.generators import generator


class Perfect(generator.Generator):
    """The true distribution, N(embedding, 1)."""

    def sample(self, labels, random):
        return self.embeddings[labels] + self.noise(labels.shape, random)

    def epochs(self, real, context):
        yield from ()


def gaussians(means, n, seed):
    labels = np.repeat(range(len(means)), n)
    features = means.numpy()[labels] + np.random.default_rng(seed).normal(size=(len(labels), means.shape[1]))
    return pools.select(
        {"features": features.astype(np.float16), "label": labels, "weight": np.ones(len(labels))}, range(len(means))
    )


def test_quality_is_near_zero_for_a_perfect_generator_and_not_for_a_wrong_one():
    means = torch.tensor([[1.0, 2, 3, 4], [4.0, 0, 0, 1]])
    real, held_out = gaussians(means, 200, seed=0), gaussians(means, 100, seed=1)
    options = quick_sections.gmmn_options(noise_dim=4)
    measured = small_generator.quality(Perfect(options, means, 4), held_out, real)
    assert list(measured) == [0, 1]
    # Five kernels, whose unbiased estimates from 100 against 100 features scatter by about 0.02 together.
    assert all(abs(value) < 0.08 for own in measured.values() for value in own.values())
    wrong = small_generator.quality(Perfect(options, means + 1, 4), held_out, real)
    for label, own in measured.items():
        assert wrong[label]["generated"] > 0.5 and wrong[label]["real"] == own["real"]


def test_quality_compares_with_real_features_of_all_images():
    """The pool is in the order of images; here the first are far from the rest, and so are a tenth of those held out."""
    means = torch.zeros(1, 4)
    shift = (np.arange(400) < 100)[:, None] * 6.0
    features = np.random.default_rng(0).normal(size=(400, 4)) + shift
    table = {"features": features.astype(np.float16), "label": np.zeros(400, np.uint8), "weight": np.ones(400)}
    held_out = np.arange(400) % 4 == 0
    test, real = (pools.select({k: v[keep] for k, v in table.items()}, [0]) for keep in (held_out, ~held_out))
    perfect = Perfect(quick_sections.gmmn_options(noise_dim=4), means, 4)
    ((label, own),) = small_generator.quality(perfect, test, real).items()
    assert label == 0 and own["real"] < 0.1 < own["generated"]


def test_quality_is_none_where_there_are_too_few_features():
    means = torch.eye(3)
    real, held_out = gaussians(means, 20, seed=0), gaussians(means, 20, seed=1)
    few = np.flatnonzero(np.isin(np.arange(60), [*range(21), *range(40, 60)]))
    held_out = pools.select(
        {
            "features": held_out.features.numpy()[few],
            "label": np.repeat([0, 1, 2], 20)[few].astype(np.uint8),
            "weight": np.ones(len(few)),
        },
        range(3),
    )
    without = pools.select(
        {"features": real.features.numpy()[:40], "label": np.repeat([0, 1], 20), "weight": np.ones(40)}, [0, 1]
    )
    options = quick_sections.gmmn_options(noise_dim=3)
    measured = small_generator.quality(Perfect(options, means, 3), held_out, without)
    assert list(measured) == [0, 1, 2]
    assert measured[1] == {"generated": None, "real": None}
    assert measured[2]["real"] is None and measured[2]["generated"] is not None
    assert None not in measured[0].values()
