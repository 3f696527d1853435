import numpy as np
import pytest
import torch

from tests.support import small_gmmn
from zeroshot.base import training
from zeroshot.cache import pools
from zeroshot.zs3net.generators import gmmn


def test_training_brings_each_class_near_its_held_out_features():
    held_out = small_gmmn.two_classes(seed=1)
    before = small_gmmn.by_class(gmmn.quality(small_gmmn.build(output="linear"), held_out, small_gmmn.two_classes()))
    generator, curve = small_gmmn.trained(epochs=5)
    after = small_gmmn.by_class(gmmn.quality(generator, held_out, small_gmmn.two_classes()))
    assert list(before) == list(after) == [0, 1]
    for label, old in before.items():
        assert after[label]["generated"] < 0.25 * old["generated"]
    assert [row["epoch"] for row in curve] == list(range(5))
    assert curve[-1]["loss"] < 0.3 * curve[0]["loss"]
    assert all(0 <= row["live_kernels"] <= 1 for row in curve)
    means = small_gmmn.draw(generator, [0, 1]).new_tensor([[1, 1, 1, 1], [4, 0, 2, 1]])
    fakes = torch.stack([small_gmmn.draw(generator, [label] * 500).mean(0) for label in (0, 1)])
    torch.testing.assert_close(fakes, means, atol=0.4, rtol=0)


@pytest.mark.parametrize("estimator", ["biased", "biased_sqrt", "unbiased"])
@pytest.mark.parametrize(("kernel", "noise"), [("paper", "gaussian"), ("release", "uniform"), ("median", "uniform")])
def test_every_option_trains(estimator, kernel, noise):
    _, curve = small_gmmn.trained(estimator=estimator, kernel=kernel, noise=noise, steps_per_epoch=15)
    assert curve[1]["loss"] < curve[0]["loss"]


def test_training_twice_gives_the_same_weights_whatever_was_drawn_before():
    one, curve = small_gmmn.trained(dropout=0.3, steps_per_epoch=10)
    torch.rand(7)
    two, again = small_gmmn.trained(dropout=0.3, steps_per_epoch=10)
    assert curve == again
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, two.network.state_dict()[name])
    other, _ = small_gmmn.trained(dropout=0.3, steps_per_epoch=10, seed=1)
    assert not torch.equal(small_gmmn.draw(other, [0]), small_gmmn.draw(one, [0]))


def test_untrained_weights_depend_on_the_seed_alone():
    torch.rand(3)
    one = small_gmmn.build()
    assert torch.equal(small_gmmn.draw(small_gmmn.build(), [0, 1]), small_gmmn.draw(one, [0, 1]))
    assert not torch.equal(small_gmmn.draw(small_gmmn.build(seed=1), [0, 1]), small_gmmn.draw(one, [0, 1]))


def test_classes_smaller_than_the_batch_are_learnt_from_what_they_have():
    """The same class twice, once with 3 rows: the filling of its batch, which is row 0 of the pool, must not count."""
    rng = np.random.default_rng(0)
    features = np.concatenate([np.full((40, 2), 60.0), rng.normal(2, 0.01, (3, 2))]).astype(np.float16)
    labels = np.repeat([0, 1], [40, 3]).astype(np.uint8)
    real = pools.select({"features": features, "label": labels, "weight": np.ones(43)}, [0, 1])
    generator, _ = small_gmmn.trained(
        real, feature_dim=2, kernel="release", bandwidths=[1.0, 10.0, 100.0, 1000.0], epochs=5
    )
    assert small_gmmn.draw(generator, [1] * 100).mean(0).tolist() == pytest.approx([2, 2], abs=1)


def test_a_class_of_one_row_does_not_stop_the_training():
    features = np.random.default_rng(0).normal(size=(21, 2)).astype(np.float16)
    labels = np.repeat([0, 1], [20, 1]).astype(np.uint8)
    real = pools.select({"features": features, "label": labels, "weight": np.ones(21)}, [0, 1])
    _, curve = small_gmmn.trained(real, feature_dim=2)
    assert np.isfinite(curve[-1]["loss"])


def test_features_that_are_no_numbers_stop_it_with_a_text():
    real = small_gmmn.two_classes()
    real.features[5:] = np.nan
    with pytest.raises(training.DivergedError) as caught:
        small_gmmn.trained(real, kernel="paper")
    assert str(caught.value) == "gmmn: the loss is nan in epoch 0, step 0; lower the learning rate"
