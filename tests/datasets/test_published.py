import os
import pathlib
import re

import pytest

from tests.support import context_tree
from zeroshot.datasets import published

RELEASED = pathlib.Path(os.environ.get("ZS3_DATA", "")) / "embeddings/ZS3"
needs_data = pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="set ZS3_DATA to the folder that holds embeddings")
# Copied from the released lists. In that for VOC, aeroplane is spelt airplane and tvmonitor is spelt tv.
UNSEEN = {
    "voc": {
        2: {"cow", "motorbike"},
        4: {"cow", "motorbike", "aeroplane", "sofa"},
        6: {"cow", "motorbike", "aeroplane", "sofa", "cat", "tvmonitor"},
        8: {"cow", "motorbike", "aeroplane", "sofa", "cat", "tvmonitor", "train", "bottle"},
        10: {"cow", "motorbike", "aeroplane", "sofa", "cat", "tvmonitor", "train", "bottle", "chair", "pottedplant"},
    },
    "context": {
        2: {"cow", "motorbike"},
        4: {"cow", "motorbike", "sofa", "cat"},
        6: {"cow", "motorbike", "sofa", "cat", "boat", "fence"},
        8: {"cow", "motorbike", "sofa", "cat", "boat", "fence", "bird", "tvmonitor"},
        10: {"cow", "motorbike", "sofa", "cat", "boat", "fence", "bird", "tvmonitor", "keyboard", "aeroplane"},
    },
}


@pytest.mark.parametrize(("name", "count"), [("voc", 21), ("context", 60)])
def test_class_names_are_unique_and_the_background_is_first(name, count):
    classes = published.DATASETS[name].classes
    assert len(classes) == len(set(classes)) == count and classes[0] == "background"
    # VOC's classes are in alphabetical order. Context has the same order, but its name for diningtable is table.
    first = [{"table": "diningtable"}.get(other, other) for other in classes[1:21]]
    assert first == sorted(first)
    assert name == "voc" or set(classes[1:]) == set(context_tree.IDS)


@pytest.mark.parametrize("name", UNSEEN)
def test_unseen_lists_are_cumulative(name):
    dataset = published.DATASETS[name]
    assert {k: set(dataset.unseen[:k]) for k in UNSEEN[name]} == UNSEEN[name]
    assert set(dataset.unseen) <= set(dataset.classes)


@needs_data
@pytest.mark.parametrize(("name", "file"), [("voc", "pascal_voc"), ("context", "pascal_context")])
def test_unseen_lists_equal_the_released_lists(name, file):
    lines = (RELEASED / f"{file}_unseen_classes.txt").read_text().splitlines()
    for line in lines:
        count, listed = re.fullmatch(r"(\d+) unseen: (.+)", line.strip()).groups()
        unseen = published.DATASETS[name].unseen[: int(count)]
        released = [next(name for name in unseen if published.same(name, other)) for other in listed.split(",")]
        assert sorted(released) == sorted(unseen)
    assert len(lines) == 5


@needs_data
def test_context_classes_have_the_order_of_the_released_names():
    lines = (RELEASED / "pascal_context_59_names.txt").read_text().splitlines()
    assert lines == [f"{label}:{name}" for label, name in enumerate(published.CONTEXT.classes)]


@pytest.mark.parametrize("other", ["tv", "TV/Monitor", "tv monitor", "tvmonitor"])
def test_same_is_true_for_spellings_of_one_class_only(other):
    assert published.same("tvmonitor", other) and published.same(other, "tvmonitor")
    assert not published.same("computer", other)


def test_same_is_false_for_every_two_classes_of_a_dataset():
    for dataset in published.DATASETS.values():
        pairs = [(a, b) for a in dataset.classes for b in dataset.classes if a != b and published.same(a, b)]
        assert pairs == []


def test_names_that_differ_in_spelling_only_are_alike():
    names = [
        "background",
        "Cow",
        "traffic light",
        "cow",
        "B\u00e4r",
        "Traffic_Light",
        "Ba\u0308r",
        "traffic-light",
        "ox",
    ]
    assert list(published.alike(names)) == [(1, 3), (2, 5), (4, 6), (2, 7)]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("voc_9_2_10", (9, 2, 10)),
        ("voc_17_2_2", (17, 2, 2)),
        ("voc_21_0_0", (21, 0, 0)),
        ("context33_29_2_2", (29, 2, 2)),
    ],
)
def test_roles_of_szn_have_the_published_counts(name, counts):
    roles = published.SZN[name]
    dataset = published.DATASETS[roles.dataset]
    named = [*roles.train_unseen, *roles.unseen]
    assert len(set(named)) == len(named) and set(named) <= set(dataset.classes[1:])
    n_annotated = len(dataset.classes) - (not dataset.has_background) - len(named)
    assert (n_annotated, len(roles.train_unseen), len(roles.unseen)) == counts


def test_the_train_seen_classes_of_szn_on_voc_are_the_published_ones():
    """Section 4 of its description lists them for (9, 2, 10) alone."""
    roles = published.SZN["voc_9_2_10"]
    rest = set(published.VOC.classes) - {*roles.train_unseen, *roles.unseen}
    assert rest == {"background", "bicycle", "bird", "boat", "bottle", "cat", "chair", "diningtable", "dog"}
