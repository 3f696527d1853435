"""Nothing about unseen classes reaches training: a change of the files that must not matter, does not.

The stages run for real, in this process, at the tiny size. The rules are those of docs/protocol.md.
"""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import yaml

from tests.support import leak_runs, tiny
from zeroshot.datasets import splits
from zeroshot.images import image_files, label_ids

base = leak_runs.base
pixels_base = leak_runs.pixels_base

# What may depend on which pictures are in the unlabelled list; nothing may depend on their masks.
# Self-training is calibrated on training pictures.
FROM_UNLABELLED_PICTURES = {
    "features/unlabelled",
    *(out for name in leak_runs.SELF_TRAINING for out in leak_runs.STAGES[name].outs),
} - {"metrics/self_training_calibration.csv"}
# Which pixels a later round learnt from: the tiny network calls all background, and is surest at the same places of every picture.
PLACES = {"features/later_rounds.h5"}
SOURCE_MASKS = pathlib.Path("data/toy/SegmentationClass")


@pytest.fixture(scope="module")
def graph_base(base):
    """The same with a generator that knows what touches a component, and places unseen classes where seen ones stand."""
    folder = leak_runs.copied(base, base.folder.with_name("graph"))
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.settings({"gmmn": {"generator": "graph"}})))
    return leak_runs.finish(folder, leak_runs.TRAINING)


def changed(run: leak_runs.Run, folder: pathlib.Path) -> set[str]:
    """Return the outputs of training in which `folder` differs from `run`."""
    found = tiny.digests(folder, *leak_runs.TRAINED)
    differing = {path for path in run.trained.keys() | found.keys() if run.trained.get(path) != found.get(path)}
    return {out for out in leak_runs.TRAINED if any(pathlib.PurePath(path).is_relative_to(out) for path in differing)}


def relabel(paths, labels: dict[int, int]) -> int:
    """Overwrite labels in masks and return the number of pixels that changed."""
    table = np.arange(256, dtype=np.uint8)
    table[list(labels)] = list(labels.values())
    count = 0
    for path in paths:
        mask = image_files.read_mask(path)
        image_files.write_mask(path, table[mask])
        count += np.count_nonzero(table[mask] != mask)
    return count


def rotate(paths) -> int:
    """Give every file the content of the next and return the number of files that changed."""
    paths = list(paths)
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)
    return sum(a != b for a, b in zip(contents, contents[1:] + contents[:1], strict=True))


def training_masks(folder):
    return [*(folder / SOURCE_MASKS).glob("train_*.png"), *(folder / leak_runs.MASKS / "unlabelled").glob("*.png")]


def unseen_become_ignored(folder, split):
    return relabel(training_masks(folder), {label: label_ids.IGNORE_INDEX for label in split.unseen})


def unseen_become_other_unseen(folder, split):
    return relabel(training_masks(folder), dict(zip(split.unseen, split.unseen[::-1], strict=True)))


def unlabelled_pictures_change_places(folder, split):
    return rotate(folder / "data/toy" / item.image for item in split.unlabelled)


def val_masks_are_another(folder, split):
    masks = [*(folder / SOURCE_MASKS).glob("val_*.png"), *(folder / leak_runs.MASKS / "val").glob("*.png")]
    return relabel(masks, {label: (label + 1) % len(split.classes) for label in range(len(split.classes))})


def val_pictures_change_places(folder, split):
    return rotate(folder / "data/toy" / item.image for item in split.val)


@pytest.mark.parametrize(
    ("disturb", "followers"),
    [
        (unseen_become_ignored, set()),
        (unseen_become_other_unseen, set()),
        # The same pictures in another order have as many pseudo-labels of each class.
        (unlabelled_pictures_change_places, FROM_UNLABELLED_PICTURES - PLACES - {"metrics/pseudo_counts.csv"}),
        (val_masks_are_another, {"features/val"}),
        (val_pictures_change_places, {"features/val"}),
    ],
)
def test_after_prepare_split_training_is_blind_to(base, tmp_path, disturb, followers):
    folder = leak_runs.copied(base, tmp_path / "disturbed")
    assert disturb(folder, base.split) > 0
    tiny.run(folder, *leak_runs.TRAINING, *leak_runs.SELF_TRAINING)
    assert changed(base, folder) == followers


@pytest.mark.parametrize("disturb", [unseen_become_ignored, unseen_become_other_unseen])
def test_with_graph_context_too_training_is_blind_to(graph_base, tmp_path, disturb):
    folder = leak_runs.copied(graph_base, tmp_path / "disturbed")
    assert disturb(folder, graph_base.split) > 0
    tiny.run(folder, *leak_runs.TRAINING)
    assert changed(graph_base, folder) == set()
    assert not any(path.startswith("data/masks/unlabelled") for paths in graph_base.read.values() for path in paths)


def test_the_feature_oracle_follows_the_held_labels_and_nothing_in_training_reads_them(base, tmp_path):
    folder = leak_runs.copied(base, tmp_path / "disturbed")
    masks = {f"data/masks/unlabelled/{item.id}.png" for item in base.split.unlabelled}
    assert masks == {path for path in base.read["feature_oracle"] if path.startswith("data/masks/")}
    assert not any(masks & base.read[name] for name in (*leak_runs.TRAINING, *leak_runs.EVALUATION))
    shutil.copytree(base.folder / "models", folder / "models")
    shutil.copytree(base.folder / "features", folder / "features")
    before = tiny.digests(folder, "models/feature_oracle.pt")
    assert unseen_become_other_unseen(folder, base.split) > 0
    tiny.run(folder, "feature_oracle")
    assert tiny.digests(folder, "models/feature_oracle.pt") != before


def test_a_seen_label_is_not_something_training_is_blind_to(base, tmp_path):
    """Were the runs alike whatever changes, the tests here would prove nothing."""
    folder = leak_runs.copied(base, tmp_path / "disturbed")
    label = base.split.seen[1]
    assert relabel((folder / leak_runs.MASKS / "train").glob("*.png"), {label: label_ids.IGNORE_INDEX}) > 0
    tiny.run(folder, *leak_runs.TRAINING, *leak_runs.SELF_TRAINING)
    assert changed(base, folder) >= set(leak_runs.TRAINED) - PLACES - {"features/val", "features/unlabelled"}


def test_which_unseen_class_a_pixel_has_does_not_matter_to_the_split(base, tmp_path):
    folder = leak_runs.copied(base, tmp_path / "disturbed")
    before = tiny.digests(folder, "data/split.json", "data/masks/train")
    assert unseen_become_other_unseen(folder, base.split) > 0
    tiny.run(folder, "prepare_split")
    assert tiny.digests(folder, "data/split.json", "data/masks/train") == before


@pytest.mark.parametrize("disturb", [unseen_become_other_unseen, unseen_become_ignored])
def test_where_pixels_are_excluded_nothing_from_the_split_on_depends_on_unseen_labels(pixels_base, tmp_path, disturb):
    folder = leak_runs.copied(pixels_base, tmp_path / "disturbed")
    before = tiny.digests(folder, "data/split.json", "data/masks/train")
    assert disturb(folder, pixels_base.split) > 0
    tiny.run(folder, "prepare_split", *leak_runs.TRAINING, *leak_runs.SELF_TRAINING)
    after = tiny.digests(folder, "data/split.json", "data/masks/train")
    if disturb is unseen_become_other_unseen:
        assert after == before
        assert changed(pixels_base, folder) == set()
    else:
        # Images without an unseen pixel are not listed as unlabelled; all else is the same.
        assert [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)] == [
            "data/split.json"
        ]
        assert splits.read(folder / "data/split.json") == dataclasses.replace(pixels_base.split, unlabelled=())
        assert changed(pixels_base, folder) == FROM_UNLABELLED_PICTURES
