import pytest

from tests.support import voc_tree
from zeroshot.base import params
from zeroshot.datasets import layout


@pytest.mark.parametrize(
    ("classes", "first"),
    [("voc", ("cow", "motorbike", "aeroplane", "sofa")), ("context", ("cow", "motorbike", "sofa", "cat"))],
)
def test_published_names_follow_the_dataset(classes, first):
    assert layout.unseen_names(voc_tree.settings(classes=classes, n_unseen=4, unseen=None)) == first


@pytest.mark.parametrize("classes", ["voc", "context", "classes.txt"])
def test_without_unseen_classes_any_class_list_serves(classes):
    assert layout.unseen_names(voc_tree.settings(classes=classes, n_unseen=0, unseen=None)) == ()


def test_listed_names_are_taken_as_they_are():
    assert layout.unseen_names(voc_tree.settings(unseen=["sheep", "cow"])) == ("sheep", "cow")
    assert layout.unseen_names(voc_tree.settings(unseen=[])) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_unseen": 2, "classes": "voc"}, "data.unseen: must be null where n_unseen is given"),
        ({"unseen": None}, "data.unseen: must be a list of class names where n_unseen is null"),
        (
            {"n_unseen": 2, "unseen": None},
            "data.unseen: must list the names where `classes` is a file; n_unseen has lists for voc and context only",
        ),
        ({"n_unseen": 5, "unseen": None, "classes": "voc"}, "data.n_unseen: Input should be 0, 2, 4, 6, 8 or 10"),
        ({"exclude": "image"}, "data.exclude: Input should be 'images' or 'pixels'"),
        ({"train_list": "../train.txt"}, "data.train_list: must be a path inside the data root"),
        ({"val_masks": "/etc"}, "data.val_masks: must be a path inside the data root"),
        ({"sbd": ""}, "data.sbd: must be a path inside the data root"),
        ({"train_mask": "x"}, "data.train_mask: unknown key; did you mean `data.train_masks`?"),
    ],
)
def test_wrong_sections_are_explained(changes, message):
    with pytest.raises(params.ParamsError) as caught:
        voc_tree.settings(**changes)
    assert message in str(caught.value)
