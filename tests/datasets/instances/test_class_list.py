"""The class list of a data set of instances, and its file."""

import json

import pytest

from zeroshot.base import errors
from zeroshot.datasets.instances import class_list

CLASSES = class_list.of_roles([("zebra", 24), ("cat", 17)], [("train", 7)])


def test_labels_follow_the_given_order_and_not_the_category_ids():
    assert CLASSES.classes == ("background", "zebra", "cat", "train")
    assert CLASSES.category_ids == (None, 24, 17, 7)
    assert (CLASSES.seen, CLASSES.unseen) == ((1, 2), (3,))
    assert [CLASSES.label_of(id) for id in (7, 17, 24)] == [3, 2, 1]
    with pytest.raises(KeyError, match="^1$"):
        CLASSES.label_of(1)


def test_a_written_list_reads_as_it_was(tmp_path):
    for classes in (CLASSES, class_list.of_roles([("cat", 0)], [])):
        class_list.write(tmp_path / "classes.json", classes)
        assert class_list.read(tmp_path / "classes.json") == classes
    class_list.write(tmp_path / "classes.json", CLASSES)
    assert json.loads((tmp_path / "classes.json").read_text()) == {
        "classes": ["background", "zebra", "cat", "train"],
        "category_ids": [None, 24, 17, 7],
        "unseen": [3],
    }


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"category_ids": [None, 24, 17]}, "category_ids: there are 3 of 4 classes"),
        ({"category_ids": [None, 24, 17, 17]}, "category_ids: contain an entry twice"),
        ({"category_ids": [0, 24, 17, 7]}, "classes: must begin with `background`"),
        ({"category_ids": [None, None, 17, 7]}, "category_ids: null is only for the background"),
        ({"classes": ["cat", "zebra", "dog", "train"]}, "classes: must begin with `background`"),
        ({"classes": ["background", "cat", "cat", "train"]}, "classes: contain an entry twice"),
        ({"unseen": [1]}, r"unseen: must be the last labels.*found \[1\]"),
        ({"unseen": [1, 2, 3]}, "unseen: must be the last labels.*leave a seen class"),
        ({"unseen": [3, 2]}, "unseen: must be the last labels"),
        ({"unseen": None}, "unseen: Input should be a valid array"),
    ],
)
def test_a_damaged_list_is_refused_with_the_entry(tmp_path, changes, fault):
    class_list.write(tmp_path / "classes.json", CLASSES)
    content = json.loads((tmp_path / "classes.json").read_text())
    (tmp_path / "classes.json").write_text(json.dumps(content | changes))
    with pytest.raises(errors.UserError, match=rf"classes.json: is no list of classes \(.*{fault}"):
        class_list.read(tmp_path / "classes.json")


def test_a_missing_list_is_refused_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(
        errors.UserError, match=r"No such file or directory\); make it with `dvc repro zsi/dvc.yaml:prepare`"
    ):
        class_list.read(tmp_path / "classes.json")
