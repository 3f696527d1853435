import dataclasses
import json

import pytest

from zeroshot.base import errors
from zeroshot.datasets import splits

SPLIT = splits.Split(
    classes=("background", "cow", "dög"),
    seen=(0, 2),
    unseen=(1,),
    exclude="images",
    train=(splits.Item("a", "JPEGImages/a.jpg"), splits.Item("b", "JPEGImages/b.png")),
    unlabelled=(),
    val=(splits.Item("v", "JPEGImages/v.jpg"),),
)


def test_read_returns_what_was_written(tmp_path):
    splits.write(tmp_path / "split.json", SPLIT)
    assert splits.read(tmp_path / "split.json") == SPLIT


def test_file_has_the_documented_schema(tmp_path):
    splits.write(tmp_path / "split.json", SPLIT)
    assert json.loads((tmp_path / "split.json").read_text()) == {
        "classes": ["background", "cow", "dög"],
        "seen": [0, 2],
        "unseen": [1],
        "exclude": "images",
        "train": [{"id": "a", "image": "JPEGImages/a.jpg"}, {"id": "b", "image": "JPEGImages/b.png"}],
        "unlabelled": [],
        "val": [{"id": "v", "image": "JPEGImages/v.jpg"}],
        "train_unseen": [],
    }


SHA256 = {"JPEGImages/a.jpg": "1", "JPEGImages/b.png": "2", "JPEGImages/v.jpg": "3"}


def test_the_part_for_training_has_nothing_about_unseen_classes_and_other_images(tmp_path):
    part = splits.training_part(SPLIT, SPLIT.train, 500, SHA256)
    assert part == splits.Training(
        seen=(0, 2),
        names=("background", "dög"),
        exclude="images",
        train=SPLIT.train,
        side=500,
        sha256={"JPEGImages/a.jpg": "1", "JPEGImages/b.png": "2"},
    )
    splits.write(tmp_path / "training.json", part)
    assert splits.read_training(tmp_path / "training.json") == part
    others = dataclasses.replace(SPLIT, classes=("background", "ox", "dög", "elk"), unseen=(1, 3), val=())
    assert splits.training_part(others, others.train, 500, SHA256) == part


def test_the_part_for_training_lacks_train_unseen_classes_and_images_that_show_them(tmp_path):
    held_out = dataclasses.replace(SPLIT, train_unseen=(2,))
    assert held_out.train_seen == (0,) and SPLIT.train_seen == SPLIT.seen
    part = splits.training_part(held_out, SPLIT.train[1:], 400, SHA256)
    assert (part.seen, part.names, part.train) == ((0,), ("background",), SPLIT.train[1:])
    assert part.sha256 == {"JPEGImages/b.png": "2"}
    assert splits.images_part(held_out, {0, 1, 2}, SHA256) == splits.images_part(SPLIT, {0, 1, 2}, SHA256)
    splits.write(tmp_path / "split.json", held_out)
    assert splits.read(tmp_path / "split.json") == held_out
    assert splits.roles(held_out)["train_unseen"] == [2]


def test_a_split_of_an_older_version_has_no_train_unseen_class(tmp_path):
    splits.write(tmp_path / "split.json", SPLIT)
    document = json.loads((tmp_path / "split.json").read_text())
    del document["train_unseen"]
    (tmp_path / "split.json").write_text(json.dumps(document))
    assert splits.read(tmp_path / "split.json") == SPLIT


def test_the_part_for_dumping_features_ends_with_the_last_class_that_an_image_shows(tmp_path):
    longer = dataclasses.replace(SPLIT, classes=(*SPLIT.classes, "elk", "yak"), unseen=(1, 3, 4))
    part = splits.images_part(longer, {0, 1, 3}, SHA256)
    assert part.classes == ("background", "cow", "dög", "elk") and part.sha256 == SHA256
    assert (part.train, part.unlabelled, part.val) == (SPLIT.train, SPLIT.unlabelled, SPLIT.val)
    splits.write(tmp_path / "images.json", part)
    assert splits.read_images(tmp_path / "images.json") == part
    assert splits.images_part(longer, {0}, SHA256) == splits.images_part(SPLIT, {0}, SHA256)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "{",
        "[]",
        "{}",
        '{"train": [{"id": "a"}], "unlabelled": [], "val": []}',
        json.dumps({**dataclasses.asdict(SPLIT), "seen": ["0", "2"]}),
        json.dumps({**dataclasses.asdict(SPLIT), "train": "a"}),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path, text):
    path = tmp_path / "split.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=r"split\.json: is not a split .*dvc repro prepare_split"):
        splits.read(path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"classes": "abc"}, "classes: Input should be a valid array"),
        ({"classes": ["background", ["cow"], "dog"]}, "classes.1: Input should be a valid string"),
        ({"seen": [0, "2"]}, "seen.1: Input should be a valid integer"),
        ({"unseen": None}, "unseen: Input should be a valid array"),
        ({"exclude": "nothing"}, "exclude: Input should be 'images' or 'pixels'"),
        ({"train": [{"id": ["a"], "image": "a.jpg"}]}, "train.0.id: Input should be a valid string"),
        ({"val": [{"id": "v"}]}, "val.0.image: Field required"),
        ({"val": ["v"]}, "val.0: "),
        ({"other": 1}, "other: "),
        ({"unseen": [3]}, "seen, unseen: contain a label id that is not one of 3 classes"),
        ({"seen": [-1, 0, 2]}, "seen, unseen: contain a label id that is not one of 3 classes"),
        ({"unseen": [2]}, "seen, unseen: contain a label id twice"),
        ({"train_unseen": [2, 2]}, "train_unseen: contains a label id twice"),
        ({"train_unseen": [1]}, "train_unseen: contains a label id that is not in seen"),
        ({"train_unseen": [9]}, "train_unseen: contains a label id that is not in seen"),
        ({"train_unseen": None}, "train_unseen: Input should be a valid array"),
    ],
    ids=str,
)
def test_entries_of_another_type_or_value_are_named(tmp_path, changes, fault):
    path = tmp_path / "split.json"
    splits.write(path, SPLIT)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(errors.UserError) as caught:
        splits.read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: is not a split ({fault}") and "; make it with `dvc repro prepare_split`" in text


def test_roles_contain_classes_and_policy_of_exclusion_but_no_images():
    assert splits.roles(SPLIT) == {
        "classes": ["background", "cow", "dög"],
        "seen": [0, 2],
        "train_unseen": [],
        "unseen": [1],
        "exclude": "images",
    }
