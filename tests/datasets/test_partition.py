import collections
import csv
import os
import pathlib

import numpy as np
import pytest

from tests.support import voc_tree
from zeroshot.base import errors, params
from zeroshot.datasets import layout, partition, published
from zeroshot.images import image_files


def build(root, workers=0, **changes):
    settings = voc_tree.settings(**changes)
    faults = errors.Faults()
    classes = layout.read_classes(root, settings.classes, faults)
    train, val = (
        list(partition.inspect(root, find(root, root / "labels", settings, faults), len(classes), workers))
        for find in (layout.find_train, layout.find_val)
    )
    split = partition.build(settings, classes, train, val, faults)
    faults.raise_any("data")
    return split


def ids(items):
    return "".join(item.id for item in items)


def test_images_with_unseen_pixels_are_not_in_train(tmp_path):
    split = build(voc_tree.make(tmp_path))
    assert (ids(split.train), ids(split.unlabelled), ids(split.val)) == ("ab", "cd", "v")
    assert (split.seen, split.unseen, split.classes) == ((0, 2, 3), (1,), voc_tree.CLASSES)


def test_exclude_pixels_keeps_images_with_seen_pixels_in_train(tmp_path):
    split = build(voc_tree.make(tmp_path), exclude="pixels")
    assert (ids(split.train), ids(split.unlabelled), ids(split.val)) == ("abc", "cd", "v")


def test_all_images_are_in_train_without_unseen_classes(tmp_path):
    split = build(voc_tree.make(tmp_path), unseen=[])
    assert (ids(split.train), split.unlabelled, split.unseen) == ("abcd", (), ())
    assert split.seen == (0, 1, 2, 3)


def test_split_does_not_depend_on_list_order_or_workers(tmp_path):
    root = voc_tree.make(tmp_path)
    expected = build(root, workers=0)
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", ["d", "b", "a", "c"])
    assert build(root, workers=3) == expected


def test_labels_of_unseen_pixels_do_not_affect_train(tmp_path):
    """Another unseen label on the unseen pixels changes neither the split nor the training masks."""
    results = []
    for name, replacement in (("one", 1), ("two", 3)):
        root = voc_tree.make(tmp_path / name)
        image_files.write_mask(root / "SegmentationClass/b.png", voc_tree.mask((0, 0, 2, 2, 2, 2, 0, 65535)))
        for id in "cd":
            mask = image_files.read_mask(root / f"SegmentationClass/{id}.png")
            mask[mask == 1] = replacement
            image_files.write_mask(root / f"SegmentationClass/{id}.png", mask)
        split = build(root, unseen=["cow", "sheep"], exclude="pixels")
        train_entries = [
            layout.Entry(item.id, item.image, root / f"SegmentationClass/{item.id}.png") for item in split.train
        ]
        list(partition.write_masks(tmp_path / "out" / name, train_entries, split.unseen, 0))
        masks = {path.name: path.read_bytes() for path in sorted((tmp_path / "out" / name).iterdir())}
        results.append((split, masks))
    assert results[0] == results[1]
    assert list(results[0][1]) == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize("workers", [0, 3])
def test_masks_are_written_with_ignored_labels_and_old_masks_are_removed(tmp_path, workers):
    root = voc_tree.make(tmp_path / "data")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/stale.png").write_text("of an earlier split")
    entries = layout.find_train(root, root / "labels", voc_tree.settings(), errors.Faults())
    written = list(partition.write_masks(tmp_path / "masks", entries, (1,), workers))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "masks"]
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.png", "b.png", "c.png", "d.png"]
    for (id, pixels), columns in zip(written, voc_tree.TRAIN.values(), strict=True):
        expected = voc_tree.mask(tuple(65535 if label == 1 else label for label in columns))
        np.testing.assert_array_equal(image_files.read_mask(tmp_path / f"masks/{id}.png"), expected)
        assert pixels == collections.Counter(expected.ravel().tolist())


def test_no_entries_give_an_empty_folder(tmp_path):
    assert list(partition.write_masks(tmp_path / "masks", [], (), 2)) == []
    assert list((tmp_path / "masks").iterdir()) == []


def test_counts_equal_those_computed_by_hand(tmp_path):
    root = voc_tree.make(tmp_path)
    split = build(root)
    counts = {"train": [], "unlabelled": []}
    for name in counts:
        for item in getattr(split, name):
            mask = voc_tree.mask(voc_tree.TRAIN[item.id])
            counts[name].append({label: (mask == label).sum() for label in set(mask.ravel().tolist())})
    partition.write_counts(tmp_path / "split.csv", split, {**counts, "val": []})
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


def test_all_faults_of_the_files_are_reported_together(tmp_path):
    root = voc_tree.make(tmp_path)
    (root / "JPEGImages/a.png").write_bytes((root / "JPEGImages/a.png").read_bytes()[:60])
    (root / "SegmentationClass/b.png").write_text("no mask")
    image_files.write_mask(root / "SegmentationClass/c.png", np.full((8, 6), 2, dtype=np.uint16))
    image_files.write_mask(root / "SegmentationClass/v.png", voc_tree.mask((0, 1, 2, 3, 4, 90, 0, 65535)))
    with pytest.raises(errors.DatasetError) as caught:
        build(root, unseen=["cows", "background", "sheep", "sheep", "shark"])
    text = str(caught.value)
    assert "unusable image (1):" in text and "JPEGImages/a.png: cannot be decoded" in text
    assert "unusable mask (1):" in text and "SegmentationClass/b.png: cannot be decoded" in text
    assert (
        f"image and mask differ in size (1):\n    JPEGImages/c.png is 8 x 6, {root}/SegmentationClass/c.png is 6 x 8"
        in text
    )
    allowed = "0 to 3; to ignore a pixel: 255 in an 8-bit mask, 65535 in a 16-bit mask"
    assert f"label out of range ({allowed}) (1):\n    {root}/SegmentationClass/v.png: 4, 90" in text
    assert "unseen class is not in the class list (2):\n    `cows`; did you mean `cow`?" in text
    assert "the background (label 0) cannot be unseen (1):\n    `background`" in text
    assert "unseen class named twice (1):\n    `sheep`" in text


def test_message_of_a_short_name_suggests_the_class_that_contains_it(tmp_path):
    faults = errors.Faults()
    partition.build(voc_tree.settings(unseen=["tv"]), published.VOC.classes, [], [], faults)
    with pytest.raises(errors.DatasetError, match=r"`tv`; did you mean `tvmonitor`\?"):
        faults.raise_any("data")


def test_empty_train_list_is_a_fault(tmp_path):
    root = voc_tree.make(tmp_path)
    with pytest.raises(errors.DatasetError, match="no training image is left") as caught:
        build(root, unseen=["cow", "dog", "sheep"])
    assert "4 of 4 usable images contain an unseen class" in str(caught.value)
    assert "without a pixel" not in str(caught.value)


def test_seen_class_without_pixels_in_train_is_a_fault(tmp_path):
    """Only image c contains a dog, and it is not in train because it also contains a cow."""
    root = voc_tree.make(tmp_path)
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", ["b", "c"])
    with pytest.raises(errors.DatasetError, match=r"seen class without a pixel in train .*\n    dog \(label 2\)"):
        build(root)
    assert ids(build(root, exclude="pixels").train) == "bc"


def test_image_without_labelled_pixels_is_not_in_train(tmp_path):
    root = voc_tree.make(tmp_path)
    image_files.write_mask(root / "SegmentationClass/c.png", voc_tree.mask((65535,) * 8))
    split = build(root)
    assert (ids(split.train), ids(split.unlabelled)) == ("ab", "d")


@pytest.mark.parametrize("workers", [0, 2])
def test_check_returns_the_split_and_all_entries(tmp_path, workers):
    root = voc_tree.make(tmp_path)
    split, entries = partition.check(root, root / "labels", voc_tree.settings(), workers)
    assert split == build(root)
    assert sorted(entries) == ["a", "b", "c", "d", "v"]
    assert entries["a"] == layout.Entry("a", "JPEGImages/a.png", root / "SegmentationClass/a.png")


def test_check_reports_faults_of_lists_files_and_names_together(tmp_path):
    root = voc_tree.make(tmp_path)
    (root / "JPEGImages/a.png").unlink()
    (root / "SegmentationClass/b.png").write_text("no mask")
    with pytest.raises(errors.DatasetError) as caught:
        partition.check(root, root / "labels", voc_tree.settings(unseen=["cows"]), 0)
    text = str(caught.value)
    assert text.startswith(f"{root}: ") and "no image" in text and "unusable mask (1):" in text
    assert "unseen class is not in the class list (1):\n    `cows`; did you mean `cow`?" in text


@pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="set ZS3_DATA to the folder that holds VOC2012")
def test_split_sizes_of_voc_equal_the_documented_ones():
    root = pathlib.Path(os.environ["ZS3_DATA"]) / "VOC2012"
    section = {
        **voc_tree.section(),
        "classes": "voc",
        "train_list": "ImageSets/Segmentation/trainaug.txt",
        "train_masks": "SegmentationClassAug",
        "unseen": None,
    }
    expected = {2: (3080, 291), 4: (2950, 421), 6: (1949, 1422), 8: (1891, 1480), 10: (1802, 1569)}
    settings = {k: params.build({**section, "n_unseen": k}, layout.Params, "data") for k in expected}
    faults = errors.Faults()
    entries = layout.find_train(root, root / "labels", settings[2], faults)
    train = list(partition.inspect(root, entries, len(published.VOC.classes), workers=2))
    counts = {}
    for n_unseen, choice in settings.items():
        split = partition.build(choice, published.VOC.classes, train, [], faults)
        counts[n_unseen] = (len(split.train), len(split.unlabelled))
    faults.raise_any(str(root))
    assert counts == expected
