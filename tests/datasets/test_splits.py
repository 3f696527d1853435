import json

import pytest

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
    }


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"train": [{"id": "a"}], "unlabelled": [], "val": []}'])
def test_other_files_are_refused_with_what_to_do(tmp_path, text):
    path = tmp_path / "split.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=r"split\.json: is not a split .*dvc repro prepare_split"):
        splits.read(path)


def test_roles_contain_classes_and_policy_of_exclusion_but_no_images():
    assert splits.roles(SPLIT) == {
        "classes": ["background", "cow", "dög"],
        "seen": [0, 2],
        "unseen": [1],
        "exclude": "images",
    }
