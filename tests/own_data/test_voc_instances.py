"""`zeroshot voc-instances`: the masks of Pascal VOC and of SBD as annotation files that ZSI's stage prepare accepts."""

import json
import os
import pathlib
import re

import numpy as np
import PIL.Image
import pycocotools.mask
import pytest
import scipy.io
import scipy.sparse
import yaml

from stages.zsi import prepare
from tests.support import dag, voc_tree
from zeroshot.base import command_line
from zeroshot.commands import __main__ as cli
from zeroshot.datasets import published
from zeroshot.experiments import presets, schema

ROOT = "data/VOC2012"
# As in VOC: not all of these sizes are equal.
SIZE, OTHER = (30, 40), (26, 34)
COW, HORSE, PERSON = 10, 13, 15
# Id -> size, and of each object its number, its class, and the top, left, bottom and right of its pixels.
OBJECTS = {
    "2007_000033": (SIZE, [(1, COW, (2, 3, 12, 20)), (2, COW, (14, 5, 25, 11)), (5, PERSON, (4, 24, 28, 38))]),
    "2007_000250": (OTHER, [(1, HORSE, (0, 0, 26, 34))]),
    "2008_000008": (SIZE, [(254, PERSON, (10, 10, 11, 11))]),
    "2009_000001": (SIZE, []),
}
LISTS = {"train": ["2008_000008", "2007_000250"], "val": ["2009_000001", "2007_000033"]}
SBD = f"{ROOT}/benchmark_RELEASE/dataset"


def drawn(id: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the masks of objects and of classes, (H, W) uint8; each object has a border of one void pixel inside of it."""
    size, objects = OBJECTS[id]
    numbers, labels = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    for number, label, (top, left, bottom, right) in objects:
        numbers[top:bottom, left:right], labels[top:bottom, left:right] = 255, 255
        inside = (
            np.s_[top + 1 : bottom - 1, left + 1 : right - 1] if bottom - top > 2 else np.s_[top:bottom, left:right]
        )
        numbers[inside], labels[inside] = number, label
    return numbers, labels


def save(folder: str, id: str, values: np.ndarray) -> None:
    PIL.Image.fromarray(values).save(f"{ROOT}/{folder}/{id}.png")


@pytest.fixture
def voc(tmp_path, monkeypatch):
    """The folder of VOC, below the present one, with four images."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / ROOT
    for folder in ("SegmentationObject", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    for id, (size, _) in OBJECTS.items():
        voc_tree.add_image(root / f"JPEGImages/{id}.jpg", size=size)
        numbers, labels = drawn(id)
        save("SegmentationObject", id, numbers)
        save("SegmentationClass", id, labels)
    for name, ids in LISTS.items():
        voc_tree.add_list(root / f"ImageSets/Segmentation/{name}.txt", ids)
    return root


def add_sbd(root, ids=tuple(OBJECTS), **changes):
    """Write SBD's masks of objects as published, with numbers from 1, and the list of `ids`."""
    folder = root / "benchmark_RELEASE/dataset"
    (folder / "inst").mkdir(parents=True, exist_ok=True)
    for id in ids:
        size, objects = OBJECTS[id]
        numbers = np.zeros(size, np.uint8)
        for number, (_, _, (top, left, bottom, right)) in enumerate(objects, 1):
            numbers[top:bottom, left:right] = number
        boundaries = np.empty((len(objects), 1), object)
        boundaries[:, 0] = [scipy.sparse.csc_array(numbers == number) for number in range(1, len(objects) + 1)]
        categories = np.array([[label] for _, label, _ in objects], np.uint8)
        fields = {"Segmentation": numbers, "Boundaries": boundaries, "Categories": categories} | changes
        scipy.io.savemat(folder / f"inst/{id}.mat", {"GTinst": fields}, do_compression=True)
    voc_tree.add_list(folder / "train_noval.txt", list(ids))


def run(*words):
    cli.main(["voc-instances", ROOT, *words])


def faults_of(*words):
    """Return the text of the faults; no file is written."""
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert not list(pathlib.Path(ROOT).glob("**/*.json"))
    return str(caught.value)


def content(name):
    return json.loads((pathlib.Path(ROOT) / f"instances/instances_{name}.json").read_text())


def pixels(annotation):
    return pycocotools.mask.decode(annotation["segmentation"]).astype(bool)


def test_each_list_becomes_a_file_of_coco(voc, capsys):
    run()
    assert capsys.readouterr().out.splitlines() == [
        f"{ROOT}/instances/instances_train.json: 2 images, 2 objects of 2 classes",
        f"{ROOT}/instances/instances_val.json: 2 images, 3 objects of 2 classes",
    ]
    val = content("val")
    assert val["images"] == [
        {"id": 2007000033, "file_name": "2007_000033.jpg", "width": 40, "height": 30},
        {"id": 2009000001, "file_name": "2009_000001.jpg", "width": 40, "height": 30},
    ]
    assert val["categories"] == [{"id": k, "name": published.VOC.classes[k]} for k in range(1, 21)]
    assert [(one["id"], one["image_id"], one["category_id"], one["iscrowd"]) for one in val["annotations"]] == [
        (1, 2007000033, COW, 0),
        (2, 2007000033, COW, 0),
        (3, 2007000033, PERSON, 0),
    ]
    for annotation, (_, _, (top, left, bottom, right)) in zip(
        val["annotations"], OBJECTS["2007_000033"][1], strict=True
    ):
        expected = np.zeros(SIZE, bool)
        expected[top + 1 : bottom - 1, left + 1 : right - 1] = True
        np.testing.assert_array_equal(pixels(annotation), expected)
        assert annotation["bbox"] == [left + 1, top + 1, right - left - 2, bottom - top - 2]
        assert annotation["area"] == expected.sum() and isinstance(annotation["segmentation"]["counts"], str)


def test_other_lists_and_another_folder_can_be_named(voc, tmp_path):
    voc_tree.add_list(voc / "ImageSets/Segmentation/trainval.txt", sorted(OBJECTS))
    voc_tree.add_list(voc / "ImageSets/Segmentation/mine.txt", ["2008_000008"])
    run("--lists", "trainval", "mine", "--out", "notes")
    assert sorted(path.name for path in (tmp_path / "notes").iterdir()) == [
        "instances_mine.json",
        "instances_trainval.json",
    ]
    joined = json.loads((tmp_path / "notes/instances_trainval.json").read_text())
    assert [image["id"] for image in joined["images"]] == [2007000033, 2007000250, 2008000008, 2009000001]
    assert [one["id"] for one in joined["annotations"]] == [1, 2, 3, 4, 5]
    (alone,) = json.loads((tmp_path / "notes/instances_mine.json").read_text())["annotations"]
    assert alone == joined["annotations"][-1] | {"id": 1}


def test_equal_data_give_equal_bytes_whatever_the_order_of_the_list(voc):
    run()
    before = (voc / "instances/instances_val.json").read_bytes()
    voc_tree.add_list(voc / "ImageSets/Segmentation/val.txt", LISTS["val"][::-1])
    run()
    assert (voc / "instances/instances_val.json").read_bytes() == before


def test_pixels_of_an_object_without_a_class_do_not_change_its_class(voc):
    """Masks that were shrunk by other means than each other differ at borders."""
    numbers, labels = drawn("2007_000033")
    labels[3:5, 4:19] = 255
    labels[5, 4:19] = 0
    save("SegmentationClass", "2007_000033", labels)
    run()
    first = content("val")["annotations"][0]
    assert first["category_id"] == COW and first["area"] == (numbers == 1).sum()


def test_the_stage_prepare_accepts_the_files_with_the_preset_for_voc(voc, tmp_path):
    add_sbd(voc, ["2008_000008"])
    voc_tree.add_list(voc / "ImageSets/Segmentation/train.txt", ["2007_000250"])
    run("--sbd", SBD)
    merged = presets.text("voc_small", dag.ROOT / presets.FOLDER / "zsi")
    (tmp_path / "zsi").mkdir()
    (tmp_path / dag.ZSI_PARAMS).write_text(merged)
    schema.check_zsi(tmp_path / dag.ZSI_PARAMS)
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"}
    (tmp_path / dag.PARAMS).write_text(yaml.safe_dump({"runtime": runtime}))
    data = yaml.safe_load(merged)["data"]
    flags = [f"--{key.replace('_', '-')}-dir={data[key]}" for key in ("annotations", "train_images", "val_images")]
    for name in ("classes.json", "train.json", "val.json", "val_images.json", "left_out.csv", "counts.csv"):
        flags.append(f"--{name.partition('.')[0].replace('_', '-')}-path=out/{name}")
    command_line.run(prepare.main, flags)
    written = {name: json.loads((tmp_path / f"out/{name}.json").read_text()) for name in ("train", "val")}
    assert written["val"]["annotations"] == content("val")["annotations"]
    assert [(one["image_id"], one["category_id"]) for one in written["train"]["annotations"]] == [
        (2007000250, HORSE),
        (2008000008, PERSON),
    ]
    assert len((tmp_path / "out/left_out.csv").read_text().splitlines()) == 1


@pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="set ZS3_DATA to the folder that holds VOC2012")
def test_instances_of_real_images_that_are_painted_as_masks_come_back(tmp_path, monkeypatch):
    real = pathlib.Path(os.environ["ZS3_DATA"]) / "VOC2012"
    known = json.loads((real / "instances/instances_val.json").read_text())
    monkeypatch.chdir(tmp_path)
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        (tmp_path / ROOT / folder).mkdir(parents=True)
    ids = [pathlib.Path(image["file_name"]).stem for image in known["images"][:20]]
    objects = []
    for image, id in zip(known["images"], ids, strict=False):
        (tmp_path / ROOT / f"JPEGImages/{id}.jpg").symlink_to(real / f"JPEGImages/{id}.jpg")
        numbers, labels = (np.zeros((image["height"], image["width"]), np.uint8) for _ in range(2))
        of_image = [one for one in known["annotations"] if one["image_id"] == image["id"]]
        # What is no certain object of the reconstruction becomes void.
        for number, one in enumerate(sorted(of_image, key=lambda one: -one["iscrowd"]), 1):
            numbers[pixels(one)], labels[pixels(one)] = (255, 255) if one["iscrowd"] else (number, one["category_id"])
        objects += [one for one in of_image if not one["iscrowd"]]
        save("SegmentationObject", id, numbers)
        save("SegmentationClass", id, labels)
    voc_tree.add_list(tmp_path / ROOT / "ImageSets/Segmentation/val.txt", ids)
    run("--lists", "val")
    written = content("val")
    assert written["images"] == known["images"][:20] and written["categories"] == known["categories"]
    keys = ("image_id", "category_id", "bbox", "area", "iscrowd", "segmentation")
    assert len(objects) > 20
    assert [{key: one[key] for key in keys} for one in written["annotations"]] == [
        {key: one[key] for key in keys} for one in objects
    ]


def test_sbd_adds_the_images_of_no_list(voc, capsys):
    add_sbd(voc)
    voc_tree.add_list(voc / "ImageSets/Segmentation/train.txt", ["2008_000008"])
    voc_tree.add_list(voc / "ImageSets/Segmentation/val.txt", ["2009_000001"])
    run("--sbd", SBD)
    added = content("sbd_extra")
    assert "sbd_extra.json: 2 images, 4 objects of 3 classes" in capsys.readouterr().out
    assert [image["file_name"] for image in added["images"]] == ["2007_000033.jpg", "2007_000250.jpg"]
    assert [one["category_id"] for one in added["annotations"]] == [COW, COW, PERSON, HORSE]
    for annotation, id in zip(added["annotations"], ["2007_000033"] * 3 + ["2007_000250"], strict=True):
        number = [one["id"] for one in added["annotations"] if one["image_id"] == annotation["image_id"]].index(
            annotation["id"]
        )
        top, left, bottom, right = OBJECTS[id][1][number][2]
        expected = np.zeros(OBJECTS[id][0], bool)
        expected[top:bottom, left:right] = True
        np.testing.assert_array_equal(pixels(annotation), expected)


def repaint(folder, value, place):
    """Change the pixels `place` of a mask of 2007_000033."""
    masks = dict(zip(("SegmentationObject", "SegmentationClass"), drawn("2007_000033"), strict=True))
    masks[folder][place] = value
    save(folder, "2007_000033", masks[folder])


OBJECT = f"{ROOT}/SegmentationObject/2007_000033.png"
CLASS = f"{ROOT}/SegmentationClass/2007_000033.png"
FIRST, SECOND, THIRD = np.s_[2:12, 3:20], np.s_[14:25, 5:11], np.s_[4:28, 24:38]


@pytest.mark.parametrize(
    ("folder", "value", "place", "message"),
    [
        ("SegmentationClass", HORSE, np.s_[5, 5], f"object with several classes.*\n    {OBJECT}: object 1: cow, horse"),
        ("SegmentationObject", 1, THIRD, f"object with several classes.*\n    {OBJECT}: object 1: cow, person"),
        ("SegmentationClass", 255, SECOND, f"object without a class.*\n    {OBJECT}: object 2: all of its pixels"),
        ("SegmentationObject", 9, np.s_[0, 0], f"object without a class.*\n    {OBJECT}: object 9: all of its pixels"),
        ("SegmentationObject", 255, THIRD, f"class without an object.*\n    {CLASS}: person"),
        ("SegmentationObject", 0, np.s_[:], f"class without an object.*\n    {CLASS}: cow, person"),
        ("SegmentationClass", 21, np.s_[0, 0], rf"label out of range \(classes have 1 to 20\).*\n    {CLASS}: 21"),
    ],
)
def test_masks_that_contradict_each_other_are_faults(voc, folder, value, place, message):
    repaint(folder, value, place)
    assert re.search(rf"^{ROOT}: 1 fault\n  {message}", faults_of())


def test_all_faults_are_named_at_once_and_nothing_is_written(voc):
    repaint("SegmentationClass", HORSE, np.s_[5, 5])
    (voc / "SegmentationObject/2007_000250.png").unlink()
    save("SegmentationClass", "2007_000250", np.zeros((*OTHER, 3), np.uint8))
    save("SegmentationObject", "2008_000008", np.zeros((5, 6), np.uint8))
    (voc / "JPEGImages/2009_000001.jpg").write_bytes(b"text")
    voc_tree.add_list(voc / "ImageSets/Segmentation/train.txt", [*LISTS["train"], "photo"])
    text = faults_of("--lists", "train", "val", "test")
    for message in (
        f"^{ROOT}: 7 faults\n",
        r"unreadable list \(1\):\n    ImageSets/Segmentation/test.txt: No such file",
        r"id that is none of VOC 2012, such as 2007_000033 \(correct the list\) \(1\):\n    ImageSets/Segmentation/train.txt: photo\n",
        f"{OBJECT}: object 1: cow, horse",
        "SegmentationObject/2007_000250.png: No such file",
        "SegmentationClass/2007_000250.png: mode RGB",
        "SegmentationObject/2008_000008.png is 6 x 5, .*SegmentationClass/2008_000008.png is 40 x 30",
        "JPEGImages/2009_000001.jpg: cannot be decoded",
    ):
        assert re.search(message, text), f"{message}\n{text}"


def test_an_image_of_another_size_than_both_masks_is_one_fault(voc):
    voc_tree.add_image(voc / "JPEGImages/2007_000250.jpg", size=SIZE)
    text = faults_of()
    assert "1 fault\n  image and masks differ in size (1):\n" in text
    assert "2007_000250.jpg is 40 x 30, " in text and "SegmentationObject/2007_000250.png is 34 x 26" in text


def test_a_missing_folder_is_one_fault(voc):
    (voc / "SegmentationObject").rename(voc / "elsewhere")
    assert faults_of() == (
        f"{ROOT}: 1 fault\n  folder that does not exist (unpack the whole data set) (1):\n    {ROOT}/SegmentationObject"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Categories": [COW]}, r"object without a class in GTinst.Categories.*\n.*033.mat: object 2, 3 of 1"),
        ({"Categories": [COW, 21, 0]}, r"label out of range \(classes have 1 to 20\).*\n.*033.mat: 0, 21"),
        ({"Categories": "cow"}, "unusable mask.*\n.*033.mat: contains no whole numbers GTinst.Categories"),
        ({"Categories": [1.5, 2, 3]}, "unusable mask.*\n.*033.mat: contains no whole numbers GTinst.Categories"),
        ({"Segmentation": np.zeros(SIZE)}, "unusable mask.*\n.*no two-dimensional uint8 or uint16 matrix"),
        ({"Segmentation": np.zeros((3, 4), np.uint8)}, r"image and masks differ in size.*\n.*033.mat is 4 x 3"),
    ],
)
def test_faults_of_sbd_are_named(voc, changes, message):
    voc_tree.add_list(voc / "ImageSets/Segmentation/val.txt", ["2009_000001"])
    add_sbd(voc, ["2007_000033"], **changes)
    assert re.search(rf"^{ROOT}: 1 fault\n  {message}", faults_of("--sbd", SBD))


def test_missing_files_of_sbd_are_faults(voc):
    text = faults_of("--sbd", SBD)
    assert f"{SBD}/train_noval.txt: No such file" in text and f"    {SBD}/inst" in text
    add_sbd(voc, ["2007_000033"])
    (voc / "benchmark_RELEASE/dataset/inst/2007_000033.mat").unlink()
    voc_tree.add_list(voc / "ImageSets/Segmentation/val.txt", ["2009_000001"])
    assert f"{SBD}/inst/2007_000033.mat: No such file" in faults_of("--sbd", SBD)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lists", "../val"], "--lists: needs names of files in ImageSets/Segmentation without `.txt`, found ../val"),
        (["--lists"], "--lists: needs names of files in ImageSets/Segmentation without `.txt`, found none"),
        (
            ["--lists", "sbd_extra", "--sbd", SBD],
            "--lists: sbd_extra is the name of the file of --sbd; rename the list",
        ),
    ],
)
def test_lists_that_cannot_be_are_refused(voc, words, message):
    assert faults_of(*words) == message
