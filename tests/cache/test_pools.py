import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroshot.cache import pools

COUNTS = {0: 9, 3: 2, 4: 5}


def sampled():
    """Return a sample whose features are (label, row number), so that each sampled row can be identified."""
    labels = np.repeat(list(COUNTS), list(COUNTS.values()))
    return {
        "features": np.stack([labels, np.arange(len(labels))], axis=1).astype(np.float16),
        "label": labels.astype(np.uint16),
        "image": np.zeros(len(labels), np.int32),
        "weight": (labels + 0.5).astype(np.float32),
    }


def draws(n=50, per_class=4, seed=0):
    real = pools.select(sampled(), [0, 3, 4])
    random = torch.Generator().manual_seed(seed)
    return [pools.batch(real, per_class, random) for _ in range(n)]


def of_images(images, labels):
    """Return rows of these images and labels; the feature of a row is its number."""
    order = np.argsort(labels, kind="stable")
    return {
        "features": np.arange(len(order), dtype=np.float32)[:, None],
        "label": np.array(labels, np.uint16)[order],
        "image": np.array(images, np.int32)[order],
        "weight": np.ones(len(order), np.float32),
    }


def many_rows(seed=0):
    """Return 3000 rows of 200 images; each image shows two or three of five classes."""
    rng = np.random.default_rng(seed)
    shown = [rng.choice(5, rng.integers(2, 4), replace=False) for _ in range(200)]
    images = rng.integers(0, 200, 3000)
    return of_images(images, [rng.choice(shown[image]) for image in images])


def test_hold_out_splits_by_images():
    sampled = many_rows()
    train, test = pools.hold_out(sampled, 0.1, seed=3)
    assert not set(train["image"]) & set(test["image"])
    # The number of held-out images is binomial with mean 20 and standard deviation sqrt(200 * 0.1 * 0.9) = 4.2.
    assert abs(len(set(test["image"])) - 20) < 4 * 4.2
    for part in (train, test):
        number = part["features"][:, 0].astype(int)
        assert (np.diff(number) > 0).all(), "rows must stay in the order of the sample, sorted by class"
        for name, column in sampled.items():
            np.testing.assert_array_equal(part[name], column[number])
            assert part[name].dtype == column.dtype
    assert len(train["label"]) + len(test["label"]) == 3000


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=30),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**31 - 1),
)
def test_hold_out_leaves_training_rows_of_every_class(rows, share, seed):
    sampled = of_images(*zip(*rows, strict=True))
    train, test = pools.hold_out(sampled, share, seed)
    assert set(train["label"]) == set(sampled["label"])
    assert not set(train["image"]) & set(test["image"])
    assert len(train["label"]) + len(test["label"]) == len(rows)


def test_images_with_the_last_rows_of_a_class_are_not_held_out():
    """With share 1, images 0 and 1 stay because no other image shows class 0; image 2 is held out, since image 1 shows class 2 too."""
    train, test = pools.hold_out(of_images([0, 0, 1, 1, 2], [0, 1, 0, 2, 2]), 1.0, seed=0)
    assert sorted(train["image"]) == [0, 0, 1, 1] and sorted(test["image"]) == [2]
    assert set(train["label"]) == {0, 1, 2} and set(test["label"]) == {2}


def test_hold_out_depends_on_seed_and_image_only():
    sampled = many_rows()
    first, again, other = (pools.hold_out(sampled, 0.1, seed)[1]["features"].tolist() for seed in (1, 1, 2))
    assert first == again != other
    # Half of the rows of the same images: the held-out images do not change.
    half = {name: column[::2] for name, column in sampled.items()}
    assert set(pools.hold_out(half, 0.1, 1)[1]["image"]) <= set(pools.hold_out(sampled, 0.1, 1)[1]["image"])


def test_select_returns_rows_and_sizes_of_its_labels():
    real = pools.select(sampled(), [0, 2, 4])
    assert real.labels.tolist() == [0, 4] and real.starts.tolist() == [0, 9, 14]
    assert real.features[:, 0].tolist() == [0] * 9 + [4] * 5 and real.features.dtype == torch.float16
    assert real.sizes.tolist() == [9 * 0.5, 5 * 4.5] and real.sizes.dtype == torch.float64


def test_a_batch_has_rows_of_the_right_class_without_replacement():
    for features, mask in draws():
        assert features.shape == (3, 4, 2) and features.dtype == torch.float32
        for k, label in enumerate(COUNTS):
            rows = features[k][mask[k]]
            assert (features[k, :, 0] == label).all(), "the fill repeats rows of the class"
            assert len(rows[:, 1].unique()) == len(rows) == min(4, COUNTS[label])


def test_mask_marks_the_rows_that_exist():
    for _, mask in draws():
        assert mask.tolist() == [[True] * 4, [True, True, False, False], [True] * 4]


def test_every_row_is_sampled_equally_often():
    row_numbers = torch.stack([features[0, :, 1] for features, _ in draws(n=900)]).long().flatten()
    share = torch.bincount(row_numbers, minlength=9) / len(row_numbers)
    # The standard error of each share is at most sqrt(1/9 * 8/9 / 3600) = 0.005.
    assert (share - 1 / 9).abs().max() < 0.02


def test_batches_depend_on_the_generator_only():
    for (one, _), (two, _) in zip(draws(), draws(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(draws(seed=1)[0][0], draws()[0][0])


def test_draw_returns_a_row_of_the_class_of_each_entry():
    real = pools.select(sampled(), [0, 3, 4])
    classes = torch.tensor([2, 0, 1, 1, 2] * 40)
    features = pools.draw(real, classes, torch.Generator().manual_seed(0))
    assert features.shape == (200, 2) and features.dtype == torch.float32
    assert torch.equal(features[:, 0], torch.tensor([0.0, 3.0, 4.0])[classes])
    assert features[classes == 1, 1].unique().tolist() == [9, 10]
    assert features[classes == 2, 1].unique().tolist() == [11, 12, 13, 14, 15]


@pytest.mark.parametrize(("label", "numbers"), [(0, range(9)), (3, (9, 10)), (1, ())])
def test_of_class_returns_all_rows_of_a_class(label, numbers):
    features = pools.of_class(pools.select(sampled(), [0, 3, 4]), label)
    assert features[:, 1].tolist() == list(numbers) and features.dtype == torch.float32
