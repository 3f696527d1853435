import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import block_dataset
from zeroshot.cache import sampling
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.zs3net.pseudo_labels import sparse_masks


@given(h=st.integers(1, 40), w=st.integers(1, 40), seed=st.integers(0, 99))
def test_cells_of_a_spread_mask_have_the_original_labels(h, w, seed):
    rng = np.random.default_rng(seed)
    cells = rng.choice([0, 1, 255, 300], (-(-h // 4), -(-w // 4))).astype(np.uint16)
    known = rng.random(cells.shape) < 0.5
    mask = sparse_masks.spread(np.argwhere(known).astype(np.uint16), cells[known], (h, w), stride=4)
    assert mask.shape == (h, w)
    actual = sampling.label_cells(mask, 4)
    np.testing.assert_array_equal(actual, np.where(known, cells, 65535))
    if h % 4 == w % 4 == 0:
        np.testing.assert_array_equal(mask, np.kron(actual, np.ones((4, 4), np.uint16)))


@pytest.fixture
def scenes(tmp_path):
    """Return a folder of scenes, their split, and a shard of pseudo-labels without any for the second unlabelled image."""
    split = block_dataset.make(tmp_path)
    shard = {
        "image": np.array([0, 0], np.int32),
        "position": np.array([[0, 1], [9, 13]], np.uint16),
        "label": np.array([1, 2], np.uint16),
    }
    return tmp_path, split, shard


def write(root, split, shard):
    return sparse_masks.write(root / "out", split, root / "toy", root / "masks/train", [shard], ["u", "w"], 4)


def test_pseudo_labels_above_255_are_written_beside_labels_of_8_bits(scenes):
    root, split, shard = scenes
    write(root, split, shard | {"label": np.array([300, 255], np.uint16)})
    mask = image_files.read_mask(root / "out/u.png")
    assert mask[2, 6] == 300 and mask[38, 54] == 255 and set(np.unique(mask)) == {255, 300, 65535}


def test_masks_of_training_images_are_copied_and_others_are_sparse(scenes):
    root, split, shard = scenes
    items = write(root, split, shard)
    assert items == [*split.train, split.unlabelled[0]]
    assert sorted(path.stem for path in (root / "out").iterdir()) == sorted(item.id for item in items)
    for item in split.train:
        np.testing.assert_array_equal(
            image_files.read_mask(root / f"out/{item.id}.png"),
            image_files.read_mask(root / f"masks/train/{item.id}.png"),
        )
    expected = np.full((40, 56), 65535)
    expected[0:4, 4:8], expected[36:40, 52:56] = 1, 2
    np.testing.assert_array_equal(image_files.read_mask(root / "out/u.png"), expected)


def test_pseudo_labels_fill_only_ignored_pixels_of_training_images(scenes):
    root, split, shard = scenes
    item_in_both_lists = splits.Item("a", split.train[0].image)
    split = splits.Split(split.classes, split.seen, split.unseen, "pixels", split.train, (item_in_both_lists,), ())
    before = image_files.read_mask(root / "masks/train/a.png")
    assert (before == 65535).any() and (before != 65535).any()
    cells = np.argwhere(sampling.label_cells(before, 4) <= 65535)
    shard = {
        "image": np.zeros(len(cells), np.int32),
        "position": cells.astype(np.uint16),
        "label": np.full(len(cells), 1, np.uint16),
    }
    items = sparse_masks.write(root / "out", split, root / "toy", root / "masks/train", [shard], ["a"], 4)
    assert items == list(split.train)
    np.testing.assert_array_equal(image_files.read_mask(root / "out/a.png"), np.where(before == 65535, 1, before))
