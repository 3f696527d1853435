import os
import pathlib
import re

import pytest

from tests.support import context_tree
from zeroshot.datasets import published

RELEASED = pathlib.Path(os.environ.get("ZS3_DATA", "")) / "embeddings/ZS3"
needs_data = pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="set ZS3_DATA to the folder that holds embeddings")
# Written out from the released lists; VOC's is spelt airplane and tv there.
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
def test_classes_are_named_once_and_begin_with_the_background(name, count):
    classes = published.DATASETS[name].classes
    assert len(classes) == len(set(classes)) == count and classes[0] == "background"
    # VOC numbers its classes alphabetically; Context keeps that order and calls dining tables tables.
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
def test_unseen_lists_are_the_released_ones(name, file):
    lines = (RELEASED / f"{file}_unseen_classes.txt").read_text().splitlines()
    for line in lines:
        count, listed = re.fullmatch(r"(\d+) unseen: (.+)", line.strip()).groups()
        own = published.DATASETS[name].unseen[: int(count)]
        released = [next(name for name in own if published.same(name, other)) for other in listed.split(",")]
        assert sorted(released) == sorted(own)
    assert len(lines) == 5


@needs_data
def test_contexts_classes_are_in_the_order_of_the_released_names():
    lines = (RELEASED / "pascal_context_59_names.txt").read_text().splitlines()
    assert lines == [f"{label}:{name}" for label, name in enumerate(published.CONTEXT.classes)]


@pytest.mark.parametrize("other", ["tv", "TV/Monitor", "tv monitor", "tvmonitor"])
def test_spellings_of_one_class_are_the_same_and_other_classes_are_not(other):
    assert published.same("tvmonitor", other) and published.same(other, "tvmonitor")
    assert not published.same("computer", other)


def test_no_spelling_joins_two_classes_of_one_dataset():
    for dataset in published.DATASETS.values():
        pairs = [(a, b) for a in dataset.classes for b in dataset.classes if a != b and published.same(a, b)]
        assert pairs == []
