import numpy as np
import torch

from tests.support import quick_sections, small_generator
from zeroshot.cache import pools
from zeroshot.zs3net.generators import generator


class Perfect(generator.Generator):
    """A generator of the true distribution, N(embedding, 1)."""

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


def test_quality_is_near_zero_only_for_a_perfect_generator():
    means = torch.tensor([[1.0, 2, 3, 4], [4.0, 0, 0, 1]])
    real, held_out = gaussians(means, 200, seed=0), gaussians(means, 100, seed=1)
    options = quick_sections.gmmn_options(noise_dim=4)
    quality = small_generator.quality(Perfect(options, means, 4), held_out, real)
    assert list(quality) == [0, 1]
    # The sum over five kernels, estimated from 100 and 100 features, has a standard deviation of about 0.02.
    assert all(abs(value) < 0.08 for mmd_of_class in quality.values() for value in mmd_of_class.values())
    wrong = small_generator.quality(Perfect(options, means + 1, 4), held_out, real)
    for label, mmd_of_class in quality.items():
        assert wrong[label]["generated"] > 0.5 and wrong[label]["real"] == mmd_of_class["real"]


def test_quality_compares_with_real_features_of_all_images():
    """The pool is sorted by image. Its first features differ from the rest, so the reference must be sampled from the whole pool."""
    means = torch.zeros(1, 4)
    shift = (np.arange(400) < 100)[:, None] * 6.0
    features = np.random.default_rng(0).normal(size=(400, 4)) + shift
    table = {"features": features.astype(np.float16), "label": np.zeros(400, np.uint16), "weight": np.ones(400)}
    held_out = np.arange(400) % 4 == 0
    test, real = (pools.select({k: v[keep] for k, v in table.items()}, [0]) for keep in (held_out, ~held_out))
    perfect = Perfect(quick_sections.gmmn_options(noise_dim=4), means, 4)
    ((label, mmd_of_class),) = small_generator.quality(perfect, test, real).items()
    assert label == 0 and mmd_of_class["real"] < 0.1 < mmd_of_class["generated"]


def test_quality_is_none_where_there_are_too_few_features():
    means = torch.eye(3)
    real, held_out = gaussians(means, 20, seed=0), gaussians(means, 20, seed=1)
    few = np.flatnonzero(np.isin(np.arange(60), [*range(21), *range(40, 60)]))
    held_out = pools.select(
        {
            "features": held_out.features.numpy()[few],
            "label": np.repeat([0, 1, 2], 20)[few].astype(np.uint16),
            "weight": np.ones(len(few)),
        },
        range(3),
    )
    without = pools.select(
        {"features": real.features.numpy()[:40], "label": np.repeat([0, 1], 20), "weight": np.ones(40)}, [0, 1]
    )
    options = quick_sections.gmmn_options(noise_dim=3)
    quality = small_generator.quality(Perfect(options, means, 3), held_out, without)
    assert list(quality) == [0, 1, 2]
    assert quality[1] == {"generated": None, "real": None}
    assert quality[2]["real"] is None and quality[2]["generated"] is not None
    assert None not in quality[0].values()
