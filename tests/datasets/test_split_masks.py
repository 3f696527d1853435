import collections
import csv

import numpy as np
import pytest

from tests.support import voc_tree
from zeroshot.base import errors
from zeroshot.datasets import layout, partition, split_masks
from zeroshot.images import image_files


@pytest.mark.parametrize("workers", [0, 3])
def test_masks_are_written_with_ignored_labels_and_old_masks_are_removed(tmp_path, workers):
    root = voc_tree.make(tmp_path / "data")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/stale.png").write_text("of an earlier split")
    entries = layout.find_train(root, root / "labels", voc_tree.settings(), errors.Faults())
    written = list(split_masks.write(root, tmp_path / "masks", entries, (1,), workers))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "masks"]
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.png", "b.png", "c.png", "d.png"]
    for (id, pixels), columns in zip(written, voc_tree.TRAIN.values(), strict=True):
        expected = voc_tree.mask(tuple(65535 if label == 1 else label for label in columns))
        np.testing.assert_array_equal(image_files.read_mask(tmp_path / f"masks/{id}.png"), expected)
        assert pixels == collections.Counter(expected.ravel().tolist())


def test_no_entries_give_an_empty_folder(tmp_path):
    assert list(split_masks.write(tmp_path, tmp_path / "masks", [], (), 2)) == []
    assert list((tmp_path / "masks").iterdir()) == []


def test_counts_equal_those_computed_by_hand(tmp_path):
    root = voc_tree.make(tmp_path)
    split = partition.check(root, root / "labels", voc_tree.settings(), 0).split
    counts = {"train": [], "unlabelled": []}
    for name in counts:
        for item in getattr(split, name):
            mask = voc_tree.mask(voc_tree.TRAIN[item.id])
            counts[name].append({label: (mask == label).sum() for label in set(mask.ravel().tolist())})
    split_masks.write_counts(tmp_path / "split.csv", split, {**counts, "val": []})
    with open(tmp_path / "split.csv") as file:
        rows = {(row["list"], row["class"]): row for row in csv.DictReader(file)}
    assert len(rows) == 3 * 4
    # Columns of 6 pixels. a: 4 background, 3 dog; b: 2 background, 4 sheep; c: 2 background, 3 cow, 2 dog; d: 7 cow.
    assert rows["train", "background"] == {
        "class": "background", "role": "seen", "list": "train", "images": "2", "pixels": "36",
    }  # fmt: skip
    assert (rows["train", "cow"]["role"], rows["train", "cow"]["pixels"]) == ("unseen", "0")
    assert (rows["unlabelled", "cow"]["images"], rows["unlabelled", "cow"]["pixels"]) == ("2", "60")
    assert (rows["unlabelled", "dog"]["images"], rows["unlabelled", "dog"]["pixels"]) == ("1", "12")
    assert (rows["val", "dog"]["images"], rows["val", "dog"]["pixels"]) == ("0", "0")


def test_an_image_without_a_mask_gets_one_that_is_ignored_everywhere(tmp_path):
    root = voc_tree.make(tmp_path / "data")
    voc_tree.add_list(root / "unlabelled.txt", ["u"])
    voc_tree.add_image(root / "JPEGImages/u.png", size=(5, 9))
    settings = voc_tree.settings(unlabelled_list="unlabelled.txt")
    entries = partition.check(root, root / "labels", settings, 0).entries
    written = list(split_masks.write(root, tmp_path / "masks", [entries["u"]], (), 0))
    np.testing.assert_array_equal(image_files.read_mask(tmp_path / "masks/u.png"), np.full((5, 9), 65535))
    assert written == [("u", {65535: 45})]


def test_absent_labels_are_those_that_no_mask_shows():
    assert split_masks.absent((1, 3, 5), [{0: 4, 3: 1}, {3: 2, 65535: 9}]) == (1, 5)
    assert split_masks.absent((1, 3), []) == (1, 3)
    assert split_masks.absent((), [{0: 1}]) == ()
