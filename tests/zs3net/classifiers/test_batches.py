import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import pixel_world
from zeroshot.base import errors
from zeroshot.cache import pools
from zeroshot.zs3net.classifiers import batches


@given(st.lists(st.floats(0, 30), min_size=1, max_size=4), st.integers(1, 3000))
def test_sizes_are_proportional_and_the_first_is_positive(others, size):
    wanted = 1 + sum(weight > 0 for weight in others)
    if size < wanted:
        with pytest.raises(errors.UserError, match=f"^classifier.batch_size: {size} has no room for {wanted} kinds"):
            batches.sizes([1.0, *others], size, "classifier")
        return
    sizes = batches.sizes([1.0, *others], size, "classifier")
    assert sum(sizes) == size and sizes[0] >= 1
    total = 1.0 + sum(others)
    for count, weight in zip(sizes[1:], others, strict=True):
        assert (count > 0) == (weight > 0)
        assert abs(count - size * weight / total) <= 1 + len(others) + 1


def test_a_rare_part_has_one_feature():
    assert batches.sizes([20.0, 1.0], 8, "classifier") == [7, 1]
    assert batches.sizes([1.0, 500.0, 0.1], 8, "classifier") == [1, 6, 1]


def test_pool_part_samples_classes_by_odds_with_matching_features():
    pool = pools.select(pixel_world.sampled({2: 5, 3: 50, 7: 5}), (2, 3, 7))
    part = batches.of_pool(pool, torch.tensor([3.0, 1.0, 0.0]), 4000)
    features, labels = part.draw(torch.Generator().manual_seed(0))
    assert features.shape == (4000, pixel_world.DIM) and features.dtype == torch.float32
    assert labels.bincount(minlength=8)[[2, 3, 7]].tolist() == pytest.approx([3000, 1000, 0], abs=110)
    features_by_label = {label: {tuple(x) for x in pools.of_class(pool, label).tolist()} for label in (2, 3)}
    assert all(
        tuple(x) in features_by_label[label] for x, label in zip(features.tolist(), labels.tolist(), strict=True)
    )
