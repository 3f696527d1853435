"""The stage prepare of ZSI: clean images, an explicit order, all faults at once, and no trace of unseen classes."""

import csv
import json

import numpy as np
import PIL.Image
import pycocotools.coco
import pytest
import yaml

from stages.zsi import prepare
from tests.support import coco_world, dag
from zeroshot.base import command_line, params
from zeroshot.datasets.instances import class_list, instance_roles

OUTS = ("classes.json", "train.json", "val.json", "val_images.json", "prepare.csv", "left_out.csv")
FLAGS = ["--annotations-dir", "notes", "--train-images-dir", "pictures", "--val-images-dir", "pictures"]
for name in OUTS:
    flag = {"prepare.csv": "counts", "left_out.csv": "left-out", "val_images.json": "val-images"}.get(name, name[:-5])
    FLAGS += [f"--{flag}-path", f"out/{name}"]


def run(root, monkeypatch, files=None, **changes):
    """Run the stage on a data set and return the content of its files."""
    monkeypatch.chdir(root)
    (root / "zsi").mkdir(exist_ok=True)
    if files is not None or not (root / "notes").exists():
        coco_world.write(root, files)
    (root / dag.ZSI_PARAMS).write_text(yaml.safe_dump({"data": coco_world.DATA | changes}))
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"}
    (root / dag.PARAMS).write_text(yaml.safe_dump({"runtime": runtime}))
    command_line.run(prepare.main, FLAGS)
    return {name: (root / "out" / name).read_bytes() for name in OUTS}


def faults_of(root, monkeypatch, files, **changes):
    with pytest.raises(SystemExit) as caught:
        run(root, monkeypatch, files, **changes)
    assert not (root / "out").exists()
    return str(caught.value)


def test_clean_training_images_and_evaluation_images_are_written(tmp_path, monkeypatch, capsys):
    written = run(tmp_path, monkeypatch)
    classes = class_list.read(tmp_path / "out/classes.json")
    assert classes.classes == ("background", "car", "cat", "mug", "zebra")
    train, val, bare = (json.loads(written[name]) for name in OUTS[1:4])
    assert [image["file_name"] for image in train["images"]] == ["11.png", "13.png", "14.png"]
    assert train["categories"] == [{"id": 3, "name": "car"}, {"id": 17, "name": "cat"}, {"id": 90, "name": "mug"}]
    assert [(one["id"], one["image_id"], one["category_id"]) for one in train["annotations"]] == [
        (1, 11, 3),
        (2, 11, 17),
        (5, 13, 17),
    ]
    assert [one["iscrowd"] for one in train["annotations"]] == [0, 1, 0]
    assert train["annotations"][0] == coco_world.annotation(1, 11, 3, segmentation=coco_world.runs(5, 10, 25, 30))
    assert [image["id"] for image in val["images"]] == [21, 22]
    assert [category["id"] for category in val["categories"]] == [3, 17, 90, 24]
    assert [(one["id"], one["category_id"], one["iscrowd"]) for one in val["annotations"]] == [
        (7, 24, 0),
        (8, 3, 0),
        (9, 17, 1),
    ]
    assert bare == val | {"annotations": []}
    assert set(pycocotools.coco.COCO(tmp_path / "out/train.json").cats) == {3, 17, 90}
    capsys.readouterr()
    rows = {(row["list"], row["class"]): row for row in csv.DictReader(written["prepare.csv"].decode().splitlines())}
    assert len(rows) == 8 and rows["train", "zebra"]["instances"] == "0" and rows["val", "zebra"]["role"] == "unseen"
    assert {rows["train", "cat"][key] for key in ("images", "instances", "crowd")} == {"1"}
    assert not written["left_out.csv"].decode().splitlines()[1:]


def test_what_is_said_counts_images_instances_and_what_is_missing(tmp_path, monkeypatch, capsys):
    files = coco_world.contents()
    files["train"]["annotations"] += [
        coco_world.annotation(31, 13, 3, segmentation=[[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]]),
        coco_world.annotation(32, 13, 17, bbox=[50, 30, 20, 20]),
        # Of an image that leaves, so it is not looked at.
        coco_world.annotation(33, 12, 24, segmentation=[]),
    ]
    written = run(tmp_path, monkeypatch, files)
    assert capsys.readouterr().out.splitlines() == [
        "classes: 3 seen, 1 unseen",
        "train: 3 of 4 images are clean, 2 have instances: 3, 1 crowd regions that teach no background, 1 boxes clipped to the image",
        "val: 2 images, 1 have instances: 2, 1 of unseen classes, 1 crowd regions ignored in scores",
        "annotations left out, since they cannot be used: 1",
        "  notes/train.json: annotation 31 (car): empty_mask: its outline contains the centre of no pixel",
        "no instance in train of 1 seen classes, so these are not learnt: mug",
    ]
    assert written["left_out.csv"].decode().splitlines()[1:] == [
        "train,notes/train.json,31,13,car,empty_mask,its outline contains the centre of no pixel"
    ]


@pytest.mark.parametrize("damage", [{}, {"segmentation": []}], ids=["usable", "without_outline"])
def test_a_training_image_with_crowd_regions_and_no_object_leaves(tmp_path, monkeypatch, capsys, damage):
    files = coco_world.contents()
    crowd = coco_world.annotation(6, 14, 17, iscrowd=1, segmentation=coco_world.runs(0, 0, 60, 5), bbox=[0, 0, 60, 5])
    files["train"]["annotations"].append(crowd | damage)
    written = run(tmp_path, monkeypatch, files)
    train = json.loads(written["train.json"])
    assert [image["id"] for image in train["images"]] == [11, 13]
    assert 6 not in [one["id"] for one in train["annotations"]]
    said = capsys.readouterr().out
    # The other crowd region, of image 11, stays.
    assert "train: 2 of 4 images are clean, 2 have instances: 2, 1 crowd regions" in said
    assert "train: 1 images with crowd regions and no object left out" in said


def test_masks_and_boxes_of_unseen_classes_change_no_file_for_training(tmp_path, monkeypatch):
    (tmp_path / "before").mkdir()
    before = run(tmp_path / "before", monkeypatch)
    files = coco_world.contents()
    for content in files.values():
        for one in content["annotations"]:
            if one["category_id"] == 24:
                one |= {"segmentation": [[1, 1, 2]], "bbox": [0, 0, 0, 0], "area": 1.0}
    (tmp_path / "after").mkdir()
    after = run(tmp_path / "after", monkeypatch, files)
    assert {name for name in OUTS if before[name] != after[name]} == {"val.json", "prepare.csv", "left_out.csv"}
    # A seen class in an image that stays does change it.
    files["train"]["annotations"][0]["segmentation"] = coco_world.box(5, 10, 25, 29)
    assert run(tmp_path / "after", monkeypatch, files)["train.json"] != after["train.json"]


def test_the_order_of_the_files_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    files = coco_world.contents()
    for content in files.values():
        for key in ("images", "annotations", "categories"):
            content[key].reverse()
    assert run(tmp_path / "one", monkeypatch) == run(tmp_path / "two", monkeypatch, files)


def test_files_are_joined_and_their_annotations_numbered_anew_if_they_share_numbers(tmp_path, monkeypatch):
    files = coco_world.contents()
    more = json.loads(json.dumps(files["train"]))
    files["train"]["images"] = [one for one in files["train"]["images"] if one["id"] != 13]
    files["train"]["annotations"] = [one for one in files["train"]["annotations"] if one["image_id"] != 13]
    more["images"] = [one for one in more["images"] if one["id"] == 13]
    more["annotations"] = [coco_world.annotation(1, 13, 17)]
    written = run(tmp_path, monkeypatch, files | {"more": more}, train=["train.json", "more.json"])
    train = json.loads(written["train.json"])
    assert [image["id"] for image in train["images"]] == [11, 13, 14]
    assert [(one["id"], one["image_id"]) for one in train["annotations"]] == [(1, 11), (2, 11), (3, 13)]


def test_all_faults_are_named_together_with_file_id_and_remedy(tmp_path, monkeypatch):
    files = coco_world.contents()
    train, val = files["train"], files["val"]
    train["images"] += [
        {"id": 11, "file_name": "14.png", "width": 60, "height": 40},
        {"id": 50, "file_name": "gone.png", "width": 60, "height": 40},
        {"id": 51, "file_name": "../11.png", "width": 60, "height": 40},
        {"id": 52, "file_name": "text.png", "width": 60, "height": 40},
        {"id": 53, "file_name": "wide.png", "width": 61, "height": 40},
        {"id": 54, "file_name": "21.png", "width": 60, "height": 40},
    ]
    train["annotations"] += [
        coco_world.annotation(1, 11, 3),
        coco_world.annotation(60, 99, 3),
        coco_world.annotation(61, 11, 77),
    ]
    train["categories"] += [{"id": 91, "name": "Mug"}, {"id": 92, "name": "background"}, {"id": 3, "name": "car"}]
    val["categories"][1] = {"id": 3, "name": "bus"}
    coco_world.write(tmp_path)
    (tmp_path / "pictures/text.png").write_text("no picture")
    PIL.Image.fromarray(np.zeros((*coco_world.SIZE, 3), np.uint8)).save(tmp_path / "pictures/wide.png")
    text = faults_of(tmp_path, monkeypatch, files, unseen=["zebre"])
    for line in (
        "image id that is used twice in a file (give each a number of its own) (1):\n    notes/train.json: image 11",
        "annotation id that is used twice in a file (give each a number of its own) (1):\n    notes/train.json: annotation 1\n",
        "category id that is used twice in a file",
        "(list the image, or remove the annotation) (1):\n    notes/train.json: annotation 60: image_id 99",
        "(list the category, or remove the annotation) (1):\n    notes/train.json: annotation 61: category_id 77",
        "image that does not exist (put it into the images folder, or remove it from the file) (1):\n    notes/train.json: image 50",
        "image name that leaves its folder",
        "notes/train.json: image 51: '../11.png'",
        "image that cannot be used (put it into the images folder, or remove it from the file) (1):\n    notes/train.json: image 52",
        "image 53: pictures/wide.png is 60 x 40, the file says 61 x 40",
        "image for both training and evaluation (remove it from one of the files) (1):\n    pictures/21.png",
        "training image that is listed twice (list it once) (1):\n    pictures/14.png",
        "(join them, or rename one) (1):\n    notes/train.json: category 91: `Mug`, like category 90, `mug`",
        "category with the name of the background",
        "category id with another name than before (1):\n    notes/val.json: category 3: `bus`, and before `car`",
        "`zebre`; did you mean `zebra`?",
    ):
        assert line in text, text
    assert text.startswith("notes: 15 faults\n")


def test_image_ids_of_joined_files_differ(tmp_path, monkeypatch):
    files = coco_world.contents()
    text = faults_of(tmp_path, monkeypatch, files | {"more": files["train"]}, train=["train.json", "more.json"])
    assert "image id in two training files" in text and "image 13: notes/train.json and notes/more.json" in text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{" * 5000,
        '{"images": []}',
        '{"images": [{"id": "1", "file_name": "a", "width": 1, "height": 1}], "categories": [], "annotations": []}',
        '{"images": [], "categories": [], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3]}]}',
        '{"images": [], "categories": [], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, NaN, 3, 4]}]}',
        '{"images": [], "categories": [], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1e999]]}]}',
    ],
)
def test_other_json_is_refused_beside_the_faults_of_other_files(tmp_path, monkeypatch, content):
    files = coco_world.contents()
    files["val"]["images"][0]["file_name"] = "gone.png"
    text = faults_of(tmp_path, monkeypatch, files | {"train": content})
    assert "annotation file that is not COCO's JSON" in text and "notes/train.json: " in text and "gone.png" in text


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    text = faults_of(tmp_path, monkeypatch, coco_world.contents(), val="test.json")
    assert "annotation file that cannot be read (1):\n    notes/test.json: No such file or directory" in text


def test_without_a_clean_image_nothing_can_be_learnt(tmp_path, monkeypatch):
    text = faults_of(tmp_path, monkeypatch, coco_world.contents(), unseen=["car", "cat"])
    assert text.startswith("notes: no training image has an instance of a seen class and none of an unseen one")


def test_the_section_of_the_repository_has_the_keys_of_the_tests():
    assert coco_world.DATA.keys() == dag.document(dag.ZSI_PARAMS)["data"].keys()
    assert params.build(coco_world.DATA, instance_roles.Params, "data").seen is None
