"""Roles and order of the classes of instances."""

import pytest

from tests.support import coco_world
from zeroshot.base import errors, params
from zeroshot.datasets import published
from zeroshot.datasets.instances import instance_roles

CATEGORIES = dict(coco_world.CATEGORIES)


def find(categories=CATEGORIES, **changes):
    """Return the classes of section `data` of the small data set, with some changes."""
    options = params.build(coco_world.DATA | changes, instance_roles.Params, "data")
    faults = errors.Faults()
    classes = instance_roles.find(options, categories, faults)
    faults.raise_any("here")
    return classes


def test_without_a_list_seen_classes_are_all_others_by_category_id_whatever_the_order_of_the_file():
    classes = find(unseen=["zebra", "car"])
    assert classes.classes == ("background", "cat", "mug", "zebra", "car")
    assert classes.category_ids == (None, 17, 90, 24, 3)
    assert classes == find(dict(reversed(CATEGORIES.items())), unseen=["zebra", "car"])
    assert find(unseen=[]).classes == ("background", "car", "cat", "zebra", "mug")


def test_a_list_of_seen_classes_gives_their_order_and_leaves_others_out():
    classes = find(seen=["mug", "car"])
    assert (classes.classes, classes.seen, classes.unseen) == (("background", "mug", "car", "zebra"), (1, 2), (3,))


@pytest.mark.parametrize(("name", "n_seen", "n_unseen"), [("coco_48_17", 48, 17), ("coco_65_15", 65, 15)])
def test_published_splits_have_their_order(name, n_seen, n_unseen):
    names = sorted({*published.ZSI["coco_65_15"].seen, *published.ZSI["coco_65_15"].unseen}, reverse=True)
    assert len(names) == 80
    categories = dict(enumerate(names, 100))
    classes = find(categories, published=name, unseen=None)
    assert (len(classes.seen), len(classes.unseen)) == (n_seen, n_unseen)
    assert (
        classes.classes[:2] == ("background", "person") and classes.classes[n_seen + 1 :] == published.ZSI[name].unseen
    )
    assert [categories[id] for id in classes.category_ids[1:]] == list(classes.classes[1:])
    assert len(set(classes.classes)) == 1 + n_seen + n_unseen
    with pytest.raises(errors.DatasetError, match="class of coco_.* that is no category of the annotation files"):
        find(published=name, unseen=None)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"unseen": ["zebras"]}, "class of data.unseen that is no category.*`zebras`; did you mean `zebra`?"),
        ({"unseen": ["zebra", "zebra"]}, "class named twice in data.unseen.*`zebra`"),
        ({"seen": ["zebra", "cat"]}, "class that is both seen and unseen.*`zebra`"),
        ({"seen": ["Car"]}, "class of data.seen that is no category.*`Car`; did you mean `car`?"),
        ({"unseen": list(CATEGORIES.values())}, "no class is left to be seen"),
    ],
)
def test_wrong_names_are_faults(changes, text):
    with pytest.raises(errors.DatasetError, match=f"(?s){text.replace('?', '[?]')}"):
        find(**changes)
