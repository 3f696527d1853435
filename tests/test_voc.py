import pytest

from tests import voc_tree
from zs3 import params
from zs3.dataset import voc

# Written out from the released lists, whose airplane and tv are VOC's aeroplane and tvmonitor.
PUBLISHED = {
    2: {"cow", "motorbike"},
    4: {"cow", "motorbike", "aeroplane", "sofa"},
    6: {"cow", "motorbike", "aeroplane", "sofa", "cat", "tvmonitor"},
    8: {"cow", "motorbike", "aeroplane", "sofa", "cat", "tvmonitor", "train", "bottle"},
    10: {"cow", "motorbike", "aeroplane", "sofa", "cat", "tvmonitor", "train", "bottle", "chair", "pottedplant"},
}


def test_there_are_twenty_classes_and_a_background():
    assert len(set(voc.CLASSES)) == 21 and voc.CLASSES[0] == "background"
    # VOC numbers its classes alphabetically.
    assert list(voc.CLASSES[1:]) == sorted(voc.CLASSES[1:])


@pytest.mark.parametrize("n_unseen", PUBLISHED)
def test_published_lists_are_cumulative(n_unseen):
    names = voc.unseen_names(voc_tree.settings(classes=None, n_unseen=n_unseen, unseen=None))
    assert set(names) == PUBLISHED[n_unseen] and len(names) == n_unseen
    assert set(names) <= set(voc.CLASSES)


def test_listed_names_are_taken_as_they_are():
    assert voc.unseen_names(voc_tree.settings(unseen=["sheep", "cow"])) == ("sheep", "cow")
    assert voc.unseen_names(voc_tree.settings(unseen=[])) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_unseen": 2, "classes": None}, "data.unseen: must be null where n_unseen is given"),
        ({"unseen": None}, "data.unseen: must be a list of class names where n_unseen is null"),
        ({"n_unseen": 2, "unseen": None}, "data.unseen: must list the names where `classes` is given"),
        ({"n_unseen": 5, "unseen": None, "classes": None}, "data.n_unseen: Input should be 2, 4, 6, 8 or 10"),
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
