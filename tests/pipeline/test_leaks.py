"""Nothing about unseen classes reaches training: changes of files that must not matter do not change any artefact.

The stages run for real, in this process, at the tiny size. The rules are those of docs/protocol.md.
"""

import dataclasses
import pathlib
import shutil

import pytest
import yaml

from tests.support import leak_runs, tiny
from zeroshot.datasets import splits
from zeroshot.images import image_files, label_ids

base = leak_runs.base
pixels_base = leak_runs.pixels_base

# Outputs that may depend on the images of the unlabelled list; no output may depend on their masks.
# The calibration of self-training reads training images, so its table is not in this list.
FROM_UNLABELLED_IMAGES = {
    "features/unlabelled",
    *(out for name in leak_runs.SELF_TRAINING for out in leak_runs.STAGES[name].outs),
} - {"metrics/self_training_calibration.csv"}
# Pixels of later rounds: the tiny network predicts only background, with the highest confidence at the same places of every image.
PLACES = {"features/later_rounds.h5"}
SOURCE_MASKS = pathlib.Path("data/toy/SegmentationClass")


@pytest.fixture(scope="module")
def graph_base(base):
    """The run with a generator with graph context, which places unseen classes where seen classes are."""
    folder = leak_runs.copied(base, base.folder.with_name("graph"))
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.settings({"gmmn": {"generator": "graph"}})))
    return leak_runs.finish(folder, leak_runs.TRAINING)


def changed(run: leak_runs.Run, folder: pathlib.Path) -> set[str]:
    """Return the outputs of training in which `folder` differs from `run`."""
    return leak_runs.changed(run.trained, tiny.digests(folder, *leak_runs.TRAINED), leak_runs.TRAINED)


def training_masks(folder):
    return [*(folder / SOURCE_MASKS).glob("train_*.png"), *(folder / leak_runs.MASKS / "unlabelled").glob("*.png")]


def unseen_become_ignored(folder, split):
    return leak_runs.relabel(training_masks(folder), {label: label_ids.IGNORE_INDEX for label in split.unseen})


def unseen_become_other_unseen(folder, split):
    return leak_runs.relabel(training_masks(folder), dict(zip(split.unseen, split.unseen[::-1], strict=True)))


def unlabelled_images_permuted(folder, split):
    return leak_runs.rotate(folder / "data/toy" / item.image for item in split.unlabelled)


def val_labels_changed(folder, split):
    masks = [*(folder / SOURCE_MASKS).glob("val_*.png"), *(folder / leak_runs.MASKS / "val").glob("*.png")]
    return leak_runs.relabel(masks, {label: (label + 1) % len(split.classes) for label in range(len(split.classes))})


def val_images_permuted(folder, split):
    return leak_runs.rotate(folder / "data/toy" / item.image for item in split.val)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (unseen_become_ignored, set()),
        (unseen_become_other_unseen, set()),
        # The number of pseudo-labels of each class does not depend on the order of the images.
        (unlabelled_images_permuted, FROM_UNLABELLED_IMAGES - PLACES - {"metrics/pseudo_counts.csv"}),
        (val_labels_changed, {"features/val"}),
        (val_images_permuted, {"features/val"}),
    ],
)
def test_training_does_not_depend_on(base, tmp_path, change, expected):
    folder = leak_runs.copied(base, tmp_path / "disturbed")
    assert change(folder, base.split) > 0
    tiny.run(folder, *leak_runs.TRAINING, *leak_runs.SELF_TRAINING)
    assert changed(base, folder) == expected


@pytest.mark.parametrize("change", [unseen_become_ignored, unseen_become_other_unseen])
def test_training_with_graph_context_does_not_depend_on(graph_base, tmp_path, change):
    folder = leak_runs.copied(graph_base, tmp_path / "disturbed")
    assert change(folder, graph_base.split) > 0
    tiny.run(folder, *leak_runs.TRAINING)
    assert changed(graph_base, folder) == set()
    assert not any(path.startswith("data/masks/unlabelled") for paths in graph_base.read.values() for path in paths)


def test_only_the_feature_oracle_depends_on_labels_of_unlabelled_images(base, tmp_path):
    folder = leak_runs.copied(base, tmp_path / "disturbed")
    masks = {f"data/masks/unlabelled/{item.id}.png" for item in base.split.unlabelled}
    assert masks == {path for path in base.read["feature_oracle"] if path.startswith("data/masks/")}
    assert not any(masks & base.read[name] for name in (*leak_runs.TRAINING, *leak_runs.EVALUATION))
    shutil.copytree(base.folder / "models", folder / "models")
    shutil.copytree(base.folder / "features", folder / "features")
    before = tiny.digests(folder, "models/classifiers/feature_oracle.pt")
    assert unseen_become_other_unseen(folder, base.split) > 0
    tiny.run(folder, "feature_oracle")
    assert tiny.digests(folder, "models/classifiers/feature_oracle.pt") != before


def test_training_depends_on_seen_labels(base, tmp_path):
    """If no change had an effect, the other tests of this file would prove nothing."""
    folder = leak_runs.copied(base, tmp_path / "disturbed")
    label = base.split.seen[1]
    masks = sorted((folder / leak_runs.MASKS / "train").glob("*.png"))
    shown = [path for path in masks if (image_files.read_mask(path) == label).any()]
    # A seen class without a cell is refused, so one image keeps it.
    assert leak_runs.relabel(shown[1:], {label: label_ids.IGNORE_INDEX}) > 0
    tiny.run(folder, *leak_runs.TRAINING, *leak_runs.SELF_TRAINING)
    # The counts of pseudo-labels are rounded, and equal if the tiny networks predict only background before and after.
    constant = {"features/val", "features/unlabelled", "metrics/pseudo_counts.csv"}
    # So are the tables of the bias, as long as the folds hold out the same classes.
    constant |= {out for out in leak_runs.TRAINED if out.endswith("calibration.csv")}
    assert changed(base, folder) >= set(leak_runs.TRAINED) - PLACES - constant


def test_the_split_does_not_depend_on_which_unseen_class_a_pixel_has(base, tmp_path):
    folder = leak_runs.copied(base, tmp_path / "disturbed")
    before = tiny.digests(folder, "data/split.json", "data/masks/train")
    assert unseen_become_other_unseen(folder, base.split) > 0
    tiny.run(folder, "prepare_split")
    assert tiny.digests(folder, "data/split.json", "data/masks/train") == before


@pytest.mark.parametrize("change", [unseen_become_other_unseen, unseen_become_ignored])
def test_with_excluded_pixels_no_stage_depends_on_unseen_labels(pixels_base, tmp_path, change):
    folder = leak_runs.copied(pixels_base, tmp_path / "disturbed")
    before = tiny.digests(folder, "data/split.json", "data/masks/train")
    assert change(folder, pixels_base.split) > 0
    tiny.run(folder, "prepare_split", *leak_runs.TRAINING, *leak_runs.SELF_TRAINING)
    after = tiny.digests(folder, "data/split.json", "data/masks/train")
    if change is unseen_become_other_unseen:
        assert after == before
        assert changed(pixels_base, folder) == set()
    else:
        # Images without an unseen pixel are not listed as unlabelled; everything else is the same.
        assert [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)] == [
            "data/split.json"
        ]
        assert splits.read(folder / "data/split.json") == dataclasses.replace(pixels_base.split, unlabelled=())
        assert changed(pixels_base, folder) == FROM_UNLABELLED_IMAGES
