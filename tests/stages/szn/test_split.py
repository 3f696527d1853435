"""The stage split of SZN: its files, and that nothing of unseen and train_unseen classes reaches the training of the network."""

import csv
import pathlib

import numpy as np
import pytest
import yaml

from stages.szn import split as stage
from tests.support import voc_tree
from zeroshot.base import command_line
from zeroshot.datasets import splits
from zeroshot.images import image_files, label_ids

OUTS = {
    "--split-path": "data/szn/split.json",
    "--training-path": "data/szn/training.json",
    "--images-path": "data/szn/images.json",
    "--train-masks-dir": "data/szn/masks/train",
    "--val-masks-dir": "data/szn/masks/val",
    "--counts-path": "metrics/szn/split.csv",
}
# Besides the images of `voc_tree.TRAIN`: dog and sheep together, sheep alone, and dog with an unseen cow and sheep.
MORE = {
    "e": (0, 0, 2, 2, 2, 3, 3, 3),
    "f": (3, 3, 3, 3, 3, 65535, 65535, 65535),
    "g": (1, 1, 2, 2, 3, 3, 3, 0),
}
COW, DOG, SHEEP = 1, 2, 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the data set, in which the stage runs."""
    monkeypatch.chdir(tmp_path)
    root = voc_tree.make(tmp_path / "data/toy")
    for seed, (id, columns) in enumerate(MORE.items(), 50):
        voc_tree.add_image(root / f"JPEGImages/{id}.png", seed)
        image_files.write_mask(root / f"SegmentationClass/{id}.png", voc_tree.mask(columns))
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", [*voc_tree.TRAIN, *MORE])
    return tmp_path


def run(data=None, **split):
    """Run the stage with `cow` unseen and `sheep` train_unseen."""
    section = {"published": None, "unseen": ["cow"], "train_unseen": ["sheep"], "seed": 0, **split}
    runtime = {"device": "auto", "threads": 1, "ranks": 1, "workers": 0, "scratch": "scratch"}
    # The roles of the main pipeline do not matter.
    data = {**voc_tree.section(), "unseen": ["dog"], **(data or {})}
    pathlib.Path("szn").mkdir(exist_ok=True)
    pathlib.Path("szn/params.yaml").write_text(yaml.safe_dump({"split": section}))
    pathlib.Path("params.yaml").write_text(yaml.safe_dump({"data": data, "runtime": runtime}))
    inputs = ["--data-root", "data/toy", "--labels-dir", "data/labels"]
    command_line.run(stage.main, [*inputs, *(word for pair in OUTS.items() for word in pair)])


def content():
    outs = [*pathlib.Path("data/szn").rglob("*.*"), pathlib.Path("metrics/szn/split.csv")]
    return {path.as_posix(): path.read_bytes() for path in outs}


def ids(items):
    return "".join(item.id for item in items)


def relabel(labels):
    """Overwrite labels in the training masks of the data set and return the number of pixels that changed."""
    count = 0
    for path in sorted(pathlib.Path("data/toy/SegmentationClass").glob("[a-g].png")):
        before = image_files.read_mask(path)
        after = before.copy()
        for old, new in labels.items():
            after[before == old] = new
        image_files.write_mask(path, after)
        count += np.count_nonzero(before != after)
    return count


def network_masks():
    """Return the masks of the images for the network, with the labels that it does not know ignored, as its training reads them."""
    part = splits.read_training("data/szn/training.json")
    masks = {item.id: image_files.read_mask(f"data/szn/masks/train/{item.id}.png") for item in part.train}
    return {
        id: np.where(np.isin(mask, part.seen), mask, label_ids.IGNORE_INDEX).tobytes() for id, mask in masks.items()
    }


def test_every_role_has_its_images(folder, capsys):
    run()
    split, part = splits.read("data/szn/split.json"), splits.read_training("data/szn/training.json")
    assert (split.seen, split.train_seen, split.train_unseen, split.unseen) == ((0, 2, 3), (0, 2), (3,), (1,))
    assert (ids(split.train), ids(split.unlabelled), ids(split.val)) == ("abef", "cdg", "v")
    assert (ids(part.train), part.seen, part.names) == ("a", (0, 2), ("background", "dog"))
    assert part.sha256.keys() == {"JPEGImages/a.png"}
    images = splits.read_images("data/szn/images.json")
    assert (images.seen, ids(images.train), images.classes) == ((0, 2, 3), "abef", voc_tree.CLASSES)
    assert capsys.readouterr().out.splitlines() == [
        "classes: 2 train_seen, 1 train_unseen (sheep), 1 unseen",
        "stage one (for the network): 1 images, train: 4 images, unlabelled: 3 images, val: 1 images",
    ]
    assert sorted(path.name for path in pathlib.Path("data/szn/masks").iterdir()) == ["train", "val"]
    np.testing.assert_array_equal(image_files.read_mask("data/szn/masks/train/e.png"), voc_tree.mask(MORE["e"]))


@pytest.mark.parametrize("exclude", ["images", "pixels"])
def test_no_image_for_the_network_has_pixels_of_other_classes_that_it_learns_from(folder, exclude):
    run({"exclude": exclude})
    split, part = splits.read("data/szn/split.json"), splits.read_training("data/szn/training.json")
    assert set(part.seen) == set(split.seen) - {SHEEP}
    shown = {
        item.id: {*np.unique(image_files.read_mask(f"data/toy/SegmentationClass/{item.id}.png"))} for item in part.train
    }
    if exclude == "images":
        assert all(labels.isdisjoint({COW, SHEEP}) for labels in shown.values())
    else:
        # Image f shows nothing but sheep, d nothing but cow.
        assert sorted(shown) == ["a", "b", "c", "e", "g"] and any(SHEEP in labels for labels in shown.values())
        assert not any(
            (image_files.read_mask(path) == COW).any() for path in pathlib.Path("data/szn/masks/train").iterdir()
        )


def test_counts_have_the_role_and_the_list(folder):
    run({"exclude": "pixels"})
    with open("metrics/szn/split.csv") as file:
        rows = {(row["list"], row["class"]): row for row in csv.DictReader(file)}
    assert {name: rows["train", name]["role"] for name in voc_tree.CLASSES} == {
        "background": "seen", "cow": "unseen", "dog": "seen", "sheep": "train_unseen",
    }  # fmt: skip
    assert {key[0] for key in rows} == {"train", "val", "stage_one"}
    # Columns of 6 pixels: dog has 3 in a, 2 in c, 3 in e, 2 in g; sheep 4 in b, 3 in e, 5 in f, 3 in g.
    assert (rows["stage_one", "dog"]["images"], rows["stage_one", "dog"]["pixels"]) == ("4", "60")
    assert (rows["stage_one", "sheep"]["pixels"], rows["train", "sheep"]["pixels"]) == ("0", "90")
    assert rows["train", "cow"]["pixels"] == rows["stage_one", "cow"]["pixels"] == "0"


@pytest.mark.parametrize("exclude", ["images", "pixels"])
def test_labels_of_unseen_classes_in_training_masks_change_nothing(folder, exclude):
    """They become ignored, or another unseen class."""
    run({"exclude": exclude}, unseen=["cow", "sheep"], train_unseen=[])
    before = content()
    assert relabel({COW: SHEEP, SHEEP: COW}) > 0
    run({"exclude": exclude}, unseen=["cow", "sheep"], train_unseen=[])
    assert content() == before


@pytest.mark.parametrize("exclude", ["images", "pixels"])
def test_labels_of_train_unseen_classes_do_not_reach_the_network(folder, exclude):
    """Permuted, they change the files for the seen mask, but none that the network is trained from."""
    voc_tree.add_list(folder / "data/toy/classes.txt", [*voc_tree.CLASSES, "elk"])
    image_files.write_mask(folder / "data/toy/SegmentationClass/b.png", voc_tree.mask((4,) * 6 + (65535,) * 2))
    run({"exclude": exclude}, train_unseen=["sheep", "elk"])
    before, masks = content(), network_masks()
    assert relabel({SHEEP: 4, 4: SHEEP}) > 0
    run({"exclude": exclude}, train_unseen=["sheep", "elk"])
    changed = {name for name, written in content().items() if written != before[name]}
    assert not changed & {"data/szn/split.json", "data/szn/training.json", "data/szn/images.json"}
    assert "data/szn/masks/train/f.png" in changed
    assert network_masks() == masks and masks


@pytest.mark.parametrize("exclude", ["images", "pixels"])
def test_labels_of_train_seen_classes_do_reach_the_network(folder, exclude):
    """If no change had an effect, the other tests of this file would prove nothing."""
    run({"exclude": exclude})
    before = network_masks()
    assert relabel({0: DOG, DOG: 0}) > 0
    run({"exclude": exclude})
    assert network_masks() != before


def test_published_roles_ask_for_the_classes_that_they_are_of(folder):
    with pytest.raises(SystemExit, match="split.published: voc_9_2_10 has roles for the classes of data.classes: voc"):
        run(published="voc_9_2_10", unseen=None, train_unseen=None)
    assert not pathlib.Path("data/szn").exists()


def test_wrong_names_are_named_with_all_faults_of_the_data(folder):
    (folder / "data/toy/JPEGImages/b.png").unlink()
    with pytest.raises(SystemExit) as caught:
        run(unseen=["cows"], train_unseen=["shep", "background", "dog", "dog"])
    text = str(caught.value)
    assert "no image" in text and "unseen class is not in the class list (1):\n    `cows`; did you mean `cow`?" in text
    assert "train_unseen class is not in the class list (1):\n    `shep`; did you mean `sheep`?" in text
    assert "the background (label 0) cannot be train_unseen" in text and "train_unseen class named twice" in text


def test_a_class_has_one_role(folder):
    with pytest.raises(SystemExit, match=r"class that is both unseen and train_unseen .*:\n    `cow`"):
        run(train_unseen=["cow"])
