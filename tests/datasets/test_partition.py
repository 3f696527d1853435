import os
import pathlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest

from tests.support import voc_tree
from zeroshot.base import errors, params
from zeroshot.datasets import class_roles, coverage, inspection, layout, palettes, partition, published, split_masks
from zeroshot.images import image_files, label_ids


def build(root, workers=0, **changes):
    return partition.check(root, root / "labels", voc_tree.settings(**changes), workers).split


def fault_of(root, **changes):
    with pytest.raises(errors.DatasetError) as caught:
        build(root, **changes)
    return str(caught.value)


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
        list(split_masks.write(root, tmp_path / "out" / name, train_entries, split.unseen, 0))
        masks = {path.name: path.read_bytes() for path in sorted((tmp_path / "out" / name).iterdir())}
        results.append((split, masks))
    assert results[0] == results[1]
    assert list(results[0][1]) == ["a.png", "b.png", "c.png"]


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
    root = voc_tree.make(tmp_path)
    text = fault_of(root, classes="voc", unseen=["tv"])
    assert "`tv`; did you mean `tvmonitor`?" in text


def checked(root, **changes):
    return partition.check(root, root / "labels", voc_tree.settings(**changes), 0)


def test_images_that_show_a_train_unseen_class_are_in_train_but_do_not_train_the_network(tmp_path):
    root = voc_tree.make(tmp_path)
    result = checked(root, train_unseen=["sheep"])
    assert (ids(result.split.train), ids(result.stage_one), ids(result.split.unlabelled)) == ("ab", "a", "cd")
    assert (result.split.seen, result.split.train_seen, result.split.train_unseen) == ((0, 2, 3), (0, 2), (3,))
    # With `pixels`, b stays, since it shows background too.
    result = checked(root, train_unseen=["sheep"], exclude="pixels")
    assert (ids(result.split.train), ids(result.stage_one)) == ("abc", "abc")
    image_files.write_mask(root / "SegmentationClass/b.png", voc_tree.mask((3,) * 8))
    result = checked(root, train_unseen=["sheep"], exclude="pixels")
    assert (ids(result.split.train), ids(result.stage_one)) == ("abc", "ac")


@pytest.mark.parametrize("exclude", ["images", "pixels"])
def test_without_train_unseen_classes_all_training_images_train_the_network(tmp_path, exclude):
    result = checked(voc_tree.make(tmp_path), exclude=exclude)
    assert result.stage_one == result.split.train and result.split.train_seen == result.split.seen


def test_the_network_needs_images_pixels_and_cells_of_its_classes(tmp_path):
    root = voc_tree.make(tmp_path)
    text = fault_of(root, unseen=[], train_unseen=["cow", "dog", "sheep"])
    assert text.startswith(f"{root}: 1 fault\n") and "no training image is left for the network" in text
    assert "4 of 4 images contain a train_unseen class; declare fewer classes train_unseen, or set data.exclude" in text
    # Only c and d show a cow, and c shows it beside a dog.
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", ["a", "b", "c"])
    kind = "seen class without a pixel in the training images without a train_unseen class"
    text = fault_of(root, unseen=[], train_unseen=["dog"])
    assert f"{kind} (declare it unseen or give it images) (1):\n    cow (label 1)" in text
    set_pixels(root, "b", 3, (2, 2))
    text = fault_of(root, train_unseen=["dog"])
    assert "seen class with fewer than 2 cells of the feature map in the training images without" in text
    assert "sheep (label 3): 1 pixels, 1 cells" in text


def test_a_train_unseen_class_needs_pixels_in_the_training_images(tmp_path):
    root = voc_tree.make(tmp_path)
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", ["a", "d"])
    text = fault_of(root, train_unseen=["sheep"])
    assert text.startswith(f"{root}: 1 fault\n")
    assert "train_unseen class without a pixel in train (declare it unseen or give it images) (1):\n    sheep" in text


def test_names_of_train_unseen_classes_are_checked(tmp_path):
    text = fault_of(voc_tree.make(tmp_path), train_unseen=["shep", "background", "dog", "dog", "cow"])
    assert "train_unseen class is not in the class list (1):\n    `shep`; did you mean `sheep`?" in text
    assert "the background (label 0) cannot be train_unseen (1):\n    `background`" in text
    assert "train_unseen class named twice (1):\n    `dog`" in text
    assert "class that is both unseen and train_unseen (it can have one role) (1):\n    `cow`" in text


def test_empty_train_list_is_a_fault(tmp_path):
    root = voc_tree.make(tmp_path)
    with pytest.raises(errors.DatasetError, match="no training image is left") as caught:
        build(root, unseen=["cow", "dog", "sheep"])
    assert "4 of 4 images contain an unseen class; declare fewer classes unseen, or set data.exclude: pixels" in str(
        caught.value
    )
    assert "without a pixel" not in str(caught.value)


def test_exclude_pixels_is_advised_only_where_it_helps(tmp_path):
    """It is set, or every image with an unseen class has no other class."""
    root = voc_tree.make(tmp_path)
    for id in "abcd":
        image_files.write_mask(root / f"SegmentationClass/{id}.png", voc_tree.mask((1,) * 4 + (65535,) * 4))
    for exclude in ("images", "pixels"):
        text = fault_of(root, exclude=exclude)
        assert text.startswith(f"{root}: 1 fault\n")
        assert text.endswith("4 of 4 images contain an unseen class; declare fewer classes unseen")


def test_masks_that_are_ignored_everywhere_are_the_cause(tmp_path):
    root = voc_tree.make(tmp_path)
    for id in "abcd":
        image_files.write_mask(root / f"SegmentationClass/{id}.png", voc_tree.mask((65535,) * 8))
    text = fault_of(root)
    assert "4 of 4 masks are ignored everywhere; write the label ids of their classes into them" in text
    assert "unseen" not in text and text.startswith(f"{root}: 1 fault\n")
    image_files.write_mask(root / "SegmentationClass/a.png", voc_tree.mask((1,) * 8))
    text = fault_of(root)
    assert "1 of 4 images contain an unseen class; declare fewer classes unseen. 3 of 4 masks are ignored" in text


def test_seen_class_without_pixels_in_train_is_a_fault(tmp_path):
    """Only image c contains a dog, and it is not in train because it also contains a cow."""
    root = voc_tree.make(tmp_path)
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", ["b", "c"])
    with pytest.raises(errors.DatasetError, match=r"seen class without a pixel in train .*\n    dog \(label 2\)"):
        build(root)
    image_files.write_mask(root / "SegmentationClass/c.png", voc_tree.mask((2, 2, 2, 1, 0, 0, 0, 0)))
    assert ids(build(root, exclude="pixels").train) == "bc"


def test_a_data_set_without_background_has_label_0_in_no_role(tmp_path):
    root = voc_tree.make(tmp_path)
    for path in (root / "SegmentationClass").iterdir():
        mask = image_files.read_mask(path)
        image_files.write_mask(path, np.where(mask == 0, 65535, mask).astype(np.uint16))
    split = partition.check(root, tmp_path / "labels", voc_tree.settings(background=None), workers=0).split
    assert (split.seen, split.unseen) == ((2, 3), (1,)) and len(split.train) == 2


def test_label_0_is_a_fault_without_background(tmp_path):
    root = voc_tree.make(tmp_path)
    with pytest.raises(errors.DatasetError, match=r"label 0 in a mask, and data\.background is null") as caught:
        partition.check(root, tmp_path / "labels", voc_tree.settings(background=None), workers=0)
    assert "SegmentationClass/a.png" in str(caught.value)


def test_image_without_labelled_pixels_is_not_in_train(tmp_path):
    root = voc_tree.make(tmp_path)
    image_files.write_mask(root / "SegmentationClass/c.png", voc_tree.mask((65535,) * 8))
    split = build(root)
    assert (ids(split.train), ids(split.unlabelled)) == ("ab", "d")


@pytest.mark.parametrize("workers", [0, 2])
def test_check_returns_all_entries(tmp_path, workers):
    root = voc_tree.make(tmp_path)
    entries = partition.check(root, root / "labels", voc_tree.settings(), workers).entries
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
    classes = published.VOC.classes
    train = list(
        inspection.inspect(root, layout.find_train(root, root / "labels", settings[2], faults), len(classes), 2)
    )
    counts = {}
    for n_unseen, choice in settings.items():
        unseen = tuple(sorted(map(classes.index, layout.unseen_names(choice))))
        split = partition.build(choice, classes, class_roles.Roles(unseen), train, [], [])
        coverage.check(split, partition.stage_one(split, train), train, faults)
        counts[n_unseen] = (len(split.train), len(split.unlabelled))
    palettes.check([(entry.mask, result.colours) for entry, result in train], [label_ids.IGNORE_INDEX], faults)
    faults.raise_any(str(root))
    assert counts == expected


def test_a_faulty_class_list_is_reported_without_what_follows_from_it(tmp_path):
    root = voc_tree.make(tmp_path)
    (root / "SegmentationClass/b.png").write_text("no mask")
    for content, cause in {b"\xff\xfea\0": "is UTF-16 text", b"background\n\ncow\n": "line 1 is empty"}.items():
        (root / "classes.txt").write_bytes(content)
        text = fault_of(root)
        assert cause in text and "unusable mask (1):" in text
        assert text.startswith(f"{root}: 2 faults\n"), text


def test_a_missing_image_is_reported_without_the_class_that_it_alone_shows(tmp_path):
    root = voc_tree.make(tmp_path)
    (root / "JPEGImages/b.png").unlink()
    text = fault_of(root)
    assert text.startswith(f"{root}: 1 fault\n") and "no image" in text
    (root / "JPEGImages/b.png").write_text("no image")
    text = fault_of(root)
    assert text.startswith(f"{root}: 1 fault\n") and "unusable image" in text


def test_faults_of_validation_do_not_hide_those_of_classes(tmp_path):
    root = voc_tree.make(tmp_path)
    (root / "JPEGImages/v.png").unlink()
    text = fault_of(root, unseen=["cow", "dog", "sheep"])
    assert text.startswith(f"{root}: 2 faults\n") and "no training image is left" in text


def test_linked_folders_are_refused(tmp_path):
    root = voc_tree.make(tmp_path / "data")
    (root / "SegmentationClass").rename(tmp_path / "masks")
    (root / "SegmentationClass").symlink_to("../masks")
    assert f"    {root}/SegmentationClass -> ../masks" in fault_of(root)


def set_pixels(root, id, label, *places):
    mask = image_files.read_mask(root / f"SegmentationClass/{id}.png")
    mask[mask == label] = 0
    for y, x in places:
        mask[y, x] = label
    image_files.write_mask(root / f"SegmentationClass/{id}.png", mask)


@pytest.mark.parametrize(
    ("places", "counts"),
    [
        # A mask of 6 x 8 pixels has 2 x 2 cells, with their centres at rows 2 and 5 and columns 2 and 6.
        ([(0, 0), (1, 3), (4, 7)], "3 pixels, 0 cells"),
        ([(2, 2)], "1 pixels, 1 cells"),
    ],
)
def test_seen_class_with_too_few_cells_is_a_fault(tmp_path, places, counts):
    root = voc_tree.make(tmp_path)
    set_pixels(root, "b", 3, *places)
    text = fault_of(root)
    assert text.startswith(f"{root}: 1 fault\n") and "seen class with fewer than 2 cells of the feature map" in text
    assert f"sheep (label 3): {counts}" in text and "join the class to another" in text


def test_cells_of_all_training_images_count_and_those_of_validation_do_not(tmp_path):
    root = voc_tree.make(tmp_path)
    set_pixels(root, "b", 3, (2, 2))
    set_pixels(root, "a", 3, (5, 2))
    build(root)
    set_pixels(root, "a", 3)
    set_pixels(root, "v", 3, (5, 6))
    assert "sheep (label 3): 1 pixels, 1 cells" in fault_of(root)


def recolour(path, colours):
    """Give the 8-bit mask at `path` a palette with other colours of the label ids in `colours`."""
    palette = label_ids.palette()[:256].copy()
    for label, colour in colours.items():
        palette[label] = colour
    image = PIL.Image.open(path)
    image.putpalette(palette.tobytes())
    image.save(path)


def test_masks_with_permuted_colours_are_a_fault(tmp_path):
    root = voc_tree.make(tmp_path)
    voc = label_ids.palette()
    masks = root / "SegmentationClass"
    recolour(masks / "v.png", {2: voc[3], 3: voc[2]})
    text = fault_of(root)
    assert "label with different colours in two masks" in text
    assert f"label 2: RGB [0, 128, 0] in {masks}/a.png, [128, 128, 0] in {masks}/v.png" in text
    assert f"label 3: RGB [128, 128, 0] in {masks}/b.png, [0, 128, 0] in {masks}/v.png" in text
    assert text.startswith(f"{root}: 2 faults\n")


def test_permuted_colours_are_reported_without_the_class_that_seems_to_be_missing(tmp_path):
    """Mask b, the only one with sheep, has their ids and colours swapped with those of dogs."""
    root = voc_tree.make(tmp_path)
    voc = label_ids.palette()
    mask = voc_tree.mask(tuple(2 if label == 3 else label for label in voc_tree.TRAIN["b"]))
    image_files.write_mask(root / "SegmentationClass/b.png", mask)
    assert "seen class without a pixel" in fault_of(root)
    recolour(root / "SegmentationClass/b.png", {2: voc[3], 3: voc[2]})
    text = fault_of(root)
    assert text.startswith(f"{root}: 1 fault\n") and "label with different colours" in text


def test_colours_that_say_nothing_are_not_compared(tmp_path):
    """Colours of labels that a mask does not have, of ignored pixels, and of masks in grey, of 8 or 16 bits."""
    root = voc_tree.make(tmp_path)
    masks = root / "SegmentationClass"
    recolour(masks / "a.png", {3: (9, 9, 0), 255: (9, 0, 9)})
    recolour(masks / "b.png", {label: (label, label, label) for label in range(256)})
    PIL.Image.fromarray(image_files.read_stored_ids(masks / "c.png")[0]).save(masks / "c.png")
    PIL.Image.fromarray(image_files.read_mask(masks / "d.png")).save(masks / "d.png")
    assert [PIL.Image.open(masks / f"{id}.png").mode for id in "abcd"] == ["P", "P", "L", "I;16"]
    build(root)


def test_orientation_of_a_square_photograph_is_applied_before_masks_are_compared(tmp_path):
    """A photograph of 6 x 8 stored pixels that is displayed as 8 x 6 needs a mask of 8 x 6."""
    root = voc_tree.make(tmp_path)
    image = PIL.Image.open(root / "JPEGImages/v.png")
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = 6
    image.save(root / "JPEGImages/v.png", exif=exif)
    assert f"JPEGImages/v.png is 6 x 8, {root}/SegmentationClass/v.png is 8 x 6" in fault_of(root)
    mask = image_files.read_mask(root / "SegmentationClass/v.png")
    image_files.write_mask(root / "SegmentationClass/v.png", np.rot90(mask, -1))
    build(root)


def add_unlabelled(root, *ids):
    voc_tree.add_list(root / "unlabelled.txt", list(ids))
    for id in ids:
        voc_tree.add_image(root / f"JPEGImages/{id}.png", size=(5, 9))


@pytest.mark.parametrize("exclude", ["images", "pixels"])
def test_listed_unlabelled_images_join_those_of_the_training_list(tmp_path, exclude):
    root = voc_tree.make(tmp_path)
    before = build(root, exclude=exclude)
    add_unlabelled(root, "u", "bb")
    split = build(root, exclude=exclude, unlabelled_list="unlabelled.txt")
    assert [item.id for item in split.unlabelled] == ["bb", "c", "d", "u"]
    assert (split.train, split.val) == (before.train, before.val)


def test_label_ids_above_255_are_checked_like_others(tmp_path):
    root = voc_tree.make(tmp_path)
    names = [f"class {label}" for label in range(400)]
    voc_tree.add_list(root / "classes.txt", names)
    used = (0, 256, 399)
    # The labels of the tree's masks, 0 to 3, become 0, 256, 399 and 0, and class 1 is their unseen class.
    for path in (root / "SegmentationClass").iterdir():
        mask = image_files.read_mask(path)
        image_files.write_mask(path, np.where(mask < 4, np.array([*used, 0], np.uint16)[mask % 4], mask))
    faults, settings = errors.Faults(), voc_tree.settings(unseen=["class 256"])
    train = list(inspection.inspect(root, layout.find_train(root, root / "labels", settings, faults), 400, 0))
    split = partition.build(settings, tuple(names), class_roles.Roles((256,)), train, [], [])
    assert (ids(split.train), ids(split.unlabelled)) == ("ab", "cd")
    text = fault_of(root, unseen=["class 256"])
    assert "seen class without a pixel in train" in text and "class 1 (label 1)" in text
    # 400 classes but these three have no pixel.
    assert text.startswith(f"{root}: 397 faults\n")
    assert "label out of range (0 to 298; " in fault_of(root, classes=shortened(root, names[:299]))


def shortened(root, names):
    voc_tree.add_list(root / "few.txt", names)
    return "few.txt"


def test_faults_of_unlabelled_images_are_reported_with_the_others(tmp_path):
    root = voc_tree.make(tmp_path)
    add_unlabelled(root, "u", "w")
    voc_tree.add_list(root / "unlabelled.txt", ["u", "w", "v", "c"])
    (root / "JPEGImages/w.png").write_text("no image")
    text = fault_of(root, unlabelled_list="unlabelled.txt")
    assert text.startswith(f"{root}: 3 faults\n") and "unusable image (1):" in text
    assert "for training or validation (2):\n    unlabelled.txt: c\n    unlabelled.txt: v" in text
