import numpy as np
import pytest
import torch

from tests.support import pixel_world, szn_world
from zeroshot.base import training
from zeroshot.cache import pools, rows
from zeroshot.szn import seen_mask

CPU = torch.device("cpu")


def pool(table, labels):
    return pools.select(table, labels)


def toy():
    """Rows of classes 1 (seen) and 3 (held out), which the first feature parts."""
    table = pixel_world.sampled({1: 60, 3: 60})
    table["features"] = np.random.default_rng(0).normal(0, 0.2, table["features"].shape).astype(np.float16)
    table["features"][:, 0] += np.where(table["label"] == 1, 2, -2).astype(np.float16)
    return table


def test_a_separable_toy_is_learnt_and_the_loss_falls():
    table = toy()
    curve = [(row, odds) for row, odds in seen_mask.fit(pool(table, [1, 3]), [1], szn_world.options(epochs=3), CPU)]
    assert [row["epoch"] for row, _ in curve] == [0, 1, 2]
    assert curve[-1][0]["loss"] < 0.05 < curve[0][0]["loss"]
    weight, bias = curve[-1][1]
    log_odds = table["features"].astype(np.float32) @ weight.numpy() + bias.numpy()
    np.testing.assert_array_equal(log_odds > 0, table["label"] == 1)


def test_log_odds_are_the_difference_of_the_two_logits(monkeypatch):
    """Two-way softmax as in the original, computed with the head itself in float64."""
    heads = []
    linear = torch.nn.Linear
    monkeypatch.setattr(seen_mask.nn, "Linear", lambda *sizes: heads.append(linear(*sizes)) or heads[-1])
    *_, (_, (weight, bias)) = seen_mask.fit(pool(toy(), [1, 3]), [1], szn_world.options(), CPU)
    features = torch.from_numpy(toy()["features"]).double()
    odds = (heads[0].double()(features)).softmax(dim=1)
    expected = (odds[:, seen_mask.SEEN] / odds[:, seen_mask.UNSEEN]).log()
    torch.testing.assert_close(features @ weight.double() + bias.double(), expected, rtol=1e-4, atol=1e-4)


def test_the_same_seed_gives_the_same_mask_and_another_seed_another():
    def trained(**changes):
        *_, (_, (weight, _)) = seen_mask.fit(pool(toy(), [1, 3]), [1], szn_world.options(**changes), CPU)
        return weight.numpy()

    np.testing.assert_array_equal(trained(), trained())
    assert not np.array_equal(trained(), trained(seed=1))
    assert not np.array_equal(trained(), trained(dropout=0.5))


def test_class_balance_zero_draws_all_classes_alike(monkeypatch):
    drawn = []
    draw = pools.draw
    monkeypatch.setattr(
        seen_mask.pools, "draw", lambda real, classes, random: drawn.append(classes) or draw(real, classes, random)
    )
    table = toy()
    table["weight"][table["label"] == 3] = 1000 * table["weight"][0]
    shares = {}
    for balance in (0.0, 1.0):
        drawn.clear()
        list(seen_mask.fit(pool(table, [1, 3]), [1], szn_world.options(class_balance=balance), CPU))
        shares[balance] = torch.cat(drawn).double().mean().item()
    assert abs(shares[0.0] - 0.5) < 0.02 and shares[1.0] > 0.99


def test_ignored_pixels_that_count_as_unseen_pull_the_mask_as_in_the_original():
    """Trap T2: the original's border pixels, which look like seen classes, are trained as unseen."""
    table = pixel_world.sampled({1: 60, 3: 60})
    # Pixels that look as those of class 1.
    look = pixel_world.means()[1].astype(np.float16)
    with_void = szn_world.with_ignored(table, 240, 0.0)
    with_void["features"][with_void["label"] == rows.UNLABELLED] = look
    odds = {}
    for void in ("ignored", "unseen"):
        options = szn_world.options(void=void, class_balance=0.0)
        labels = seen_mask.learnt_labels([1, 3], options)
        *_, (_, (weight, bias)) = seen_mask.fit(pool(with_void, labels), [1], options, CPU)
        odds[void] = float(look.astype(np.float32) @ weight.numpy() + bias.numpy())
        if void == "ignored":
            *_, (_, (clean, _)) = seen_mask.fit(pool(table, [1, 3]), [1], options, CPU)
            np.testing.assert_array_equal(weight.numpy(), clean.numpy())
    # Half of the pixels with this look are seen, half ignored: at equal weight of classes the mask is undecided.
    assert odds["ignored"] > 2 and abs(odds["unseen"]) < 1.5


def test_a_loss_that_is_not_finite_is_refused_with_the_key():
    table = toy()
    table["features"][:] = np.nan
    with pytest.raises(training.DivergedError, match=r"train_seenmask.*\n?.*seen_mask\.lr"):
        list(seen_mask.fit(pool(table, [1, 3]), [1], szn_world.options(), CPU))
