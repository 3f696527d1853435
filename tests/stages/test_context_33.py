"""Context-33, from Pascal-Context's own MATLAB files to the split of SZN."""

import pathlib

import numpy as np
import pytest
import yaml

from stages import convert_labels, prepare_split
from stages.szn import split as szn_split
from tests.support import context_tree, voc_tree
from zeroshot.base import command_line
from zeroshot.datasets import published, splits
from zeroshot.images import image_files

NAMES = published.CONTEXT_33.classes[1:]
TRAIN_SEEN = [name for name in NAMES if name not in ("aeroplane", "horse", "sheep", "train")]
# Id -> the classes of the 8 columns of its mask; a number is one of the 459 labels. Bag is one of the 59 classes, 1 is accordion, and 0 is
# unlabelled.
TRAIN = {
    **{f"seen{k}": (TRAIN_SEEN * 2)[8 * k : 8 * k + 8] for k in range(4)},
    "held_out": ["sky"] * 4 + ["aeroplane"] * 2 + ["horse"] * 2,
    "unseen": ["grass"] * 4 + ["sheep", "sheep", "train", "train"],
    "bag": ["sky"] * 7 + ["bag"],
    "accordion": ["sky"] * 7 + [1],
    "unlabelled": ["horse"] * 7 + [0],
    "unseen_bag": ["sheep"] * 7 + ["bag"],
}
VAL = {"whole": ["sheep", "train", "horse", "sky"] * 2, "partly": ["sheep"] * 7 + [0]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the data set."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data/context"
    for name, images in {"train": TRAIN, "val": VAL}.items():
        voc_tree.add_list(root / context_tree.LISTS[name], list(images))
        for id, columns in images.items():
            names = ["table" if name == "diningtable" else name for name in columns]
            context_tree.add_image(root, id, [context_tree.IDS.get(name, name) for name in names])
    context_tree.add_names(root, context_tree.names())
    return tmp_path


def run(stage, outs, **changes):
    data = context_tree.section(classes="context_33", background=None, n_unseen=None, unseen=["sheep", "train"])
    document = {
        "labels": context_tree.labels(reduce="context_33"),
        "data": data | {"train_unseen": ["aeroplane", "horse"], "drop_partly_labelled": True} | changes,
        "runtime": {"device": "auto", "threads": 1, "ranks": 1, "workers": 0, "scratch": "scratch"},
    }
    pathlib.Path("params.yaml").write_text(yaml.safe_dump(document))
    inputs = ["--data-root", "data/context", "--labels-dir", "data/labels"]
    command_line.run(stage.main, [*inputs, *(word for pair in outs.items() for word in pair)])


def files(folder, *masks):
    parts = {f"--{name}-path": f"{folder}/{name}.json" for name in ("split", "training", "images")}
    return parts | {f"--{name}-masks-dir": f"{folder}/{name}" for name in masks} | {"--counts-path": "counts.csv"}


def prepare(**changes):
    run(prepare_split, files("data", "train", "unlabelled", "val"), **changes)
    return splits.read("data/split.json"), splits.read_training("data/training.json")


def ids(items):
    return [item.id for item in items]


def test_images_with_unlabelled_pixels_are_in_no_list(folder, capsys):
    run(convert_labels, {})
    mask = image_files.read_mask("data/labels/seen0.png")
    assert [int(label) for label in mask[0, ::4]] == [NAMES.index(name) + 1 for name in TRAIN["seen0"]]
    assert {*np.unique(image_files.read_mask("data/labels/bag.png"))} == {NAMES.index("sky") + 1, 65535}
    split, part = prepare()
    seen = ["seen0", "seen1", "seen2", "seen3"]
    assert (ids(split.train), ids(split.unlabelled), ids(split.val)) == (["held_out", *seen], ["unseen"], ["whole"])
    assert ids(part.train) == seen and part.names == tuple(TRAIN_SEEN)
    assert "left out, since some of their pixels have no label: 5 images" in capsys.readouterr().out


def test_without_that_rule_such_images_are_used_and_their_pixels_ignored(folder):
    run(convert_labels, {})
    split, _ = prepare(drop_partly_labelled=False)
    assert len(split.train) + len(split.unlabelled) == len(TRAIN) and ids(split.val) == ["partly", "whole"]


def test_data_without_a_whole_mask_are_a_fault(folder):
    for list_name, id in (("train", "bag"), ("val", "partly")):
        voc_tree.add_list(folder / "data/context" / context_tree.LISTS[list_name], [id])
    run(convert_labels, {})
    with pytest.raises(SystemExit) as caught:
        prepare()
    kind = "every mask has an ignored pixel, and data.drop_partly_labelled leaves such images out (set it to false)"
    assert str(caught.value).splitlines()[1:] == [
        f"  {kind} (2):",
        "    all 1 training images",
        "    all 1 evaluation images",
    ]


def test_the_published_roles_give_the_same_split_as_their_names(folder):
    run(convert_labels, {})
    expected = prepare()
    pathlib.Path("szn").mkdir()
    section = {"published": "context33_29_2_2", "unseen": None, "train_unseen": None, "seed": 0}
    pathlib.Path("szn/params.yaml").write_text(yaml.safe_dump({"split": section}))
    run(szn_split, files("data/szn", "train", "val"), unseen=["sky"], train_unseen=[])
    assert (splits.read("data/szn/split.json"), splits.read_training("data/szn/training.json")) == expected
