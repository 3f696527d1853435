import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zeroshot.base import training


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_non_finite_loss_raises_with_epoch_and_step(loss):
    with pytest.raises(training.DivergedError) as caught:
        training.check_finite(loss, "train_gmmn", 3, 14, "gmmn.gan.lr")
    assert str(caught.value) == f"train_gmmn: the loss is {loss} in epoch 3, step 14; lower gmmn.gan.lr"


@pytest.mark.parametrize("loss", [0.0, -1.5, 1e30])
def test_finite_loss_is_returned(loss):
    assert training.check_finite(loss, "train_gmmn", 0, 0, "gmmn.lr") == loss


def random_numbers(*entropy):
    training.seed_torch(*entropy)
    return tuple(torch.randint(2**62, (2,)).tolist())


@pytest.mark.parametrize("seeds", [[(0,), (1,), (12,)], [(0, 1), (1, 0), (1, 2), (2, 1), (0, 12), (2**31, 5)]])
def test_different_tuples_of_integers_are_different_seeds(seeds):
    assert len({random_numbers(*seed) for seed in seeds}) == len(seeds)
    assert [random_numbers(*seed) for seed in seeds] == [random_numbers(*seed) for seed in seeds]


@given(total=st.integers(1, 1000), data=st.data())
def test_poly_decreases_from_one_to_zero_by_the_formula(total, data):
    step = data.draw(st.integers(0, total - 1))
    assert training.poly(step, total) == pytest.approx(math.exp(0.9 * math.log((total - step) / total)))
    assert training.poly(step, total) > training.poly(step + 1, total)
    assert training.poly(0, total) == 1 and training.poly(total, total) == 0
    assert training.poly(step, total, power=1.0) == pytest.approx(1 - step / total)


@pytest.mark.parametrize(("loss", "untrained", "refused"), [(31.0, 3.0, True), (29.0, 3.0, False), (9.0, 0.001, False)])
def test_an_exploded_loss_is_refused_and_a_small_one_never(loss, untrained, refused):
    if not refused:
        training.check_not_exploded(loss, untrained, "spnet", "baseline.spnet.lr")
        return
    with pytest.raises(
        training.DivergedError,
        match="^spnet: the loss of the last epoch is 31, .* untrained model 3: .*; lower baseline.spnet.lr$",
    ):
        training.check_not_exploded(loss, untrained, "spnet", "baseline.spnet.lr")
