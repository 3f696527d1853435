import numpy as np
import pytest
import torch

from tests.support import quick_sections, small_generator
from zeroshot.base import errors, training
from zeroshot.cache import pools
from zeroshot.zs3net.generators import matching, mmd


def test_training_reduces_the_mmd_to_held_out_features():
    held_out = small_generator.two_classes(seed=1)
    before = small_generator.quality(small_generator.build(output="linear"), held_out, small_generator.two_classes())
    generator, curve = small_generator.trained(epochs=5)
    after = small_generator.quality(generator, held_out, small_generator.two_classes())
    assert list(before) == list(after) == [0, 1]
    for label, quality_before in before.items():
        assert after[label]["generated"] < 0.25 * quality_before["generated"]
    assert [row["epoch"] for row in curve] == list(range(5))
    assert curve[-1]["loss"] < 0.3 * curve[0]["loss"]
    assert all(0 <= row["active_kernels"] <= 1 for row in curve)
    means = small_generator.draw(generator, [0, 1]).new_tensor([[1, 1, 1, 1], [4, 0, 2, 1]])
    fakes = torch.stack([small_generator.draw(generator, [label] * 500).mean(0) for label in (0, 1)])
    torch.testing.assert_close(fakes, means, atol=0.4, rtol=0)


@pytest.mark.parametrize("estimator", ["biased", "biased_sqrt", "unbiased"])
@pytest.mark.parametrize(("kernel", "noise"), [("paper", "gaussian"), ("release", "uniform"), ("median", "uniform")])
def test_loss_decreases_with_every_option(estimator, kernel, noise):
    _, curve = small_generator.trained(estimator=estimator, kernel=kernel, noise=noise, steps_per_epoch=15)
    assert curve[1]["loss"] < curve[0]["loss"]


def test_training_is_reproducible_whatever_the_global_random_state():
    one, curve = small_generator.trained(dropout=0.3, steps_per_epoch=10)
    torch.rand(7)
    two, again = small_generator.trained(dropout=0.3, steps_per_epoch=10)
    assert curve == again
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    other, _ = small_generator.trained(dropout=0.3, steps_per_epoch=10, seed=1)
    assert not torch.equal(small_generator.draw(other, [0]), small_generator.draw(one, [0]))


def test_initial_weights_depend_only_on_the_seed():
    torch.rand(3)
    one = small_generator.build()
    assert torch.equal(small_generator.draw(small_generator.build(), [0, 1]), small_generator.draw(one, [0, 1]))
    assert not torch.equal(
        small_generator.draw(small_generator.build(seed=1), [0, 1]), small_generator.draw(one, [0, 1])
    )


def test_learns_a_class_smaller_than_the_batch():
    """Class 1 has 3 rows; the rest of its batch is filled with row 0 of the pool, which must be ignored."""
    rng = np.random.default_rng(0)
    features = np.concatenate([np.full((40, 2), 60.0), rng.normal(2, 0.01, (3, 2))]).astype(np.float16)
    labels = np.repeat([0, 1], [40, 3]).astype(np.uint16)
    real = pools.select({"features": features, "label": labels, "weight": np.ones(43)}, [0, 1])
    generator, _ = small_generator.trained(
        real, feature_dim=2, kernel="release", bandwidths=[1.0, 10.0, 100.0, 1000.0], epochs=5
    )
    assert small_generator.draw(generator, [1] * 100).mean(0).tolist() == pytest.approx([2, 2], abs=1)


def test_trains_with_a_class_of_one_row():
    features = np.random.default_rng(0).normal(size=(21, 2)).astype(np.float16)
    labels = np.repeat([0, 1], [20, 1]).astype(np.uint16)
    real = pools.select({"features": features, "label": labels, "weight": np.ones(21)}, [0, 1])
    _, curve = small_generator.trained(real, feature_dim=2)
    assert np.isfinite(curve[-1]["loss"])


def test_features_of_nan_raise_an_error():
    real = small_generator.two_classes()
    real.features[5:] = np.nan
    with pytest.raises(training.DivergedError) as error:
        small_generator.trained(real, kernel="paper")
    assert str(error.value) == "gmmn: the loss is nan in epoch 0, step 0; lower gmmn.lr"


def test_median_is_that_of_a_batch_of_the_pool():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(1, 0.5, (16, 4)), rng.normal(4, 1, (16, 4))]).astype(np.float16)
    labels = np.repeat([0, 1], 16).astype(np.uint16)
    real = pools.select({"features": features, "label": labels, "weight": np.ones(32)}, [0, 1])
    expected = mmd.median_squared_distance(real.features.reshape(2, 16, 4).float())
    assert matching.median(real, quick_sections.gmmn_options(batch_per_class=16)) == pytest.approx(expected)


def test_constant_features_raise_an_error_if_kernels_need_their_median():
    labels = np.repeat([0, 1], 20).astype(np.uint16)
    same = {"features": np.stack([labels, labels], 1).astype(np.float16), "label": labels, "weight": np.ones(40)}
    real = pools.select(same, [0, 1])
    with pytest.raises(errors.UserError) as error:
        matching.variances(real, quick_sections.gmmn_options(kernel="median"))
    assert str(error.value) == (
        "gmmn.kernel: median needs features that differ within a class; their median squared distance is 0.0"
    )
    release = quick_sections.gmmn_options(kernel="release", bandwidths=[2.0, 5.0])
    assert matching.variances(real, release) == [2.0, 5.0]
