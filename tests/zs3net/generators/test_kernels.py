import numpy as np
import pytest

from tests.support import quick_sections
from zeroshot.base import errors
from zeroshot.cache import pools
from zeroshot.zs3net.generators import kernels, mmd


def test_the_median_is_that_of_a_batch_of_the_pool():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(1, 0.5, (16, 4)), rng.normal(4, 1, (16, 4))]).astype(np.float16)
    labels = np.repeat([0, 1], 16).astype(np.uint8)
    real = pools.select({"features": features, "label": labels, "weight": np.ones(32)}, [0, 1])
    expected = mmd.median_squared_distance(real.features.reshape(2, 16, 4).float())
    assert kernels.median(real, quick_sections.gmmn_options(batch_per_class=16)) == pytest.approx(expected)


def test_features_that_do_not_differ_are_refused_where_their_median_is_needed():
    labels = np.repeat([0, 1], 20).astype(np.uint8)
    same = {"features": np.stack([labels, labels], 1).astype(np.float16), "label": labels, "weight": np.ones(40)}
    real = pools.select(same, [0, 1])
    with pytest.raises(errors.UserError) as caught:
        kernels.variances(real, quick_sections.gmmn_options(kernel="median"))
    assert str(caught.value) == (
        "gmmn.kernel: median needs features that differ within a class; their median squared distance is 0.0"
    )
    release = quick_sections.gmmn_options(kernel="release", bandwidths=[2.0, 5.0])
    assert kernels.variances(real, release) == [2.0, 5.0]
