import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import pixel_world
from zeroshot.cache import pools
from zeroshot.zs3net.classifiers import batches


@given(st.lists(st.floats(0, 30), min_size=1, max_size=4), st.integers(4, 3000))
def test_a_batch_is_shared_out_in_proportion_with_something_for_the_first(others, size):
    found = batches.sizes([1.0, *others], size)
    assert sum(found) == size and min(found) >= 0 and found[0] >= 1
    total = 1.0 + sum(others)
    for count, weight in zip(found[1:], others, strict=True):
        assert abs(count - size * weight / total) <= 0.5 + len(others) + 1


def test_a_pool_is_drawn_by_its_odds_and_with_its_own_labels():
    pool = pools.select(pixel_world.sampled({2: 5, 3: 50, 7: 5}), (2, 3, 7))
    source = batches.of_pool(pool, torch.tensor([3.0, 1.0, 0.0]), 4000)
    features, labels = source.draw(torch.Generator().manual_seed(0))
    assert features.shape == (4000, pixel_world.DIM) and features.dtype == torch.float32
    assert labels.bincount(minlength=8)[[2, 3, 7]].tolist() == pytest.approx([3000, 1000, 0], abs=110)
    own = {label: {tuple(x) for x in pools.of_class(pool, label).tolist()} for label in (2, 3)}
    assert all(tuple(x) in own[label] for x, label in zip(features.tolist(), labels.tolist(), strict=True))
