import pytest

from tests.support import voc_tree
from zeroshot.base import errors, params
from zeroshot.datasets import published
from zeroshot.szn import roles

NAMES = tuple("abcdefgh")


def options(**changes):
    section = {"published": None, "unseen": [], "train_unseen": [], "seed": 0, **changes}
    return params.build(section, roles.Params, "split")


def of_published(name):
    return options(published=name, unseen=None, train_unseen=None)


@pytest.mark.parametrize("name", published.SZN)
def test_published_roles_replace_those_of_the_main_pipeline(name):
    expected = published.SZN[name]
    without = {"background": None} if expected.dataset == "context_33" else {}
    data = voc_tree.settings(classes=expected.dataset, unseen=None, n_unseen=0, **without)
    result = roles.apply(of_published(name), published.DATASETS[expected.dataset].classes, data)
    assert (result.unseen, result.train_unseen, result.n_unseen) == (expected.unseen, expected.train_unseen, None)
    assert result.root == data.root


def test_published_roles_of_other_classes_are_refused():
    data = voc_tree.settings()
    with pytest.raises(
        errors.UserError, match="voc_17_2_2 has roles for the classes of data.classes: voc, and params"
    ) as caught:
        roles.apply(of_published("voc_17_2_2"), voc_tree.CLASSES, data)
    assert "data.classes: classes.txt; change one of them" in str(caught.value)
    # The same names in a file are the same classes.
    assert roles.apply(of_published("voc_17_2_2"), published.VOC.classes, data).unseen == ("sheep", "train")


def test_named_roles_are_taken_as_they_are():
    result = roles.apply(options(unseen=["sheep"], train_unseen=["cow"]), voc_tree.CLASSES, voc_tree.settings())
    assert (result.unseen, result.train_unseen) == (("sheep",), ("cow",))


def test_drawn_classes_are_nested_and_neither_unseen_nor_the_background():
    classes = ("background", *NAMES)
    drawn = [
        roles.apply(options(unseen=["c"], train_unseen=n), classes, voc_tree.settings()).train_unseen for n in range(7)
    ]
    assert [len(names) for names in drawn] == list(range(7))
    assert all(larger[: len(smaller)] == smaller for smaller, larger in zip(drawn, drawn[1:], strict=False))
    assert set(drawn[-1]) < set(NAMES) - {"c"}
    others = {roles.draw(6, NAMES, seed) for seed in range(9)}
    assert len(others) > 1 and roles.draw(6, NAMES, 3) == roles.draw(6, NAMES, 3)


@pytest.mark.parametrize("number", [8, 9])
def test_a_class_must_be_left_for_the_network(number):
    with pytest.raises(errors.UserError, match=f"split.train_unseen: {number} of the 8 object classes that are not un"):
        roles.draw(number, NAMES, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"published": "voc_17_2_2", "train_unseen": None}, "split.unseen: must be null where `published` is given"),
        ({"published": "voc_21_0_0", "unseen": None}, "split.train_unseen: must be null where `published` is given"),
        ({"unseen": None}, "split.unseen: must be a list of class names where `published` is null"),
        ({"train_unseen": None}, "split.train_unseen: must be a list of class names or a number of classes where"),
        ({"train_unseen": -1}, "split.train_unseen: Input should be greater than or equal to 0"),
        ({"train_unseen": "cow"}, "split.train_unseen: Input should be a valid array (found 'cow')"),
        ({"train_unseen": 2.5}, "split.train_unseen: Input should be a valid integer"),
        ({"train_unseen": True}, "split.train_unseen: Input should be a valid integer"),
        ({"published": "voc_9_2_2"}, "split.published: Input should be 'voc_9_2_10', 'voc_17_2_2', 'voc_21_0_0' or"),
    ],
    ids=str,
)
def test_wrong_values_are_explained(changes, message):
    with pytest.raises(params.ParamsError) as caught:
        options(**changes)
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 2
