"""SZN's pipeline at the tiny size: what its stages read, what changes of labels may change, and the theorem on their outputs."""

import json
import pathlib

import numpy as np
import pytest

from tests.support import dag, leak_runs, szn_runs, tiny
from zeroshot.cache import maps, rows
from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions
from zeroshot.images import image_files, label_ids

base = szn_runs.base
SOURCE_MASKS = pathlib.Path("data/toy/SegmentationClass")
MASKS = pathlib.Path("data/szn/masks")
pytestmark = pytest.mark.timeout(900)


def source_masks(folder, items):
    return [folder / SOURCE_MASKS / f"{item.id}.png" for item in items]


def held_out_items(folder, split):
    """Return the training images that the network may not see, since they show a class of train_unseen."""
    stage_one = splits.read_training(folder / "data/szn/training.json").train
    return [item for item in split.train if item not in stage_one]


def confusions(folder, variant):
    return image_confusions.read(folder / f"metrics/szn/{variant}_images.h5")


def test_stages_read_only_the_files_in_dvc_yaml(base):
    for name, stage in szn_runs.STAGES.items():
        read = base.read[name] - {dag.PARAMS, dag.SZN_PARAMS}
        images = {
            f"data/toy/{image}"
            for part in stage.listed
            for image in json.loads((base.folder / part).read_text())["sha256"]
        }
        stray = {path for path in read if not any(pathlib.PurePath(path).is_relative_to(dep) for dep in stage.data)}
        assert stray <= images, name
    assert [out for out in szn_runs.outs(*szn_runs.STAGES) if not (base.folder / out).exists()] == []


def test_stage_one_sees_no_pixel_of_a_class_that_it_is_not_trained_on_and_stage_two_none_of_an_unseen_class(base):
    masks = {path.stem: image_files.read_mask(path) for path in (base.folder / MASKS / "train").iterdir()}
    assert sorted(masks) == [item.id for item in base.split.train]
    assert not any(np.isin(mask, base.split.unseen).any() for mask in masks.values())
    training = splits.read_training(base.folder / "data/szn/training.json")
    read = {path for name in szn_runs.STAGE_ONE for path in base.read[name]}
    assert {path for path in read if path.endswith(".png") and path.startswith("data/szn")} <= {
        f"data/szn/masks/train/{item.id}.png" for item in training.train
    }
    allowed = [*training.seen, label_ids.IGNORE_INDEX]
    assert all(np.isin(masks[item.id], allowed).all() for item in training.train)
    assert {path for path in read if path.startswith("data/toy/")} <= {
        f"data/toy/{item.image}" for item in training.train
    }
    assert held_out_items(base.folder, base.split) and base.split.train_unseen


def test_which_unseen_class_a_training_pixel_has_changes_nothing(base, tmp_path):
    stages = (*szn_runs.PREPARATION, *szn_runs.STAGE_ONE, *szn_runs.STAGE_TWO)
    folder = szn_runs.copied(base, tmp_path / "disturbed", stages)
    masks = source_masks(folder, base.split.unlabelled)
    assert leak_runs.relabel(masks, dict(zip(base.split.unseen, base.split.unseen[::-1], strict=True))) > 0
    tiny.run(folder, *stages)
    # The counts by class are a table for people. That all else is equal shows too that two runs give equal bytes.
    assert szn_runs.changed(base, folder, *stages) <= {"metrics/szn/split.csv"}


def test_stages_one_and_two_depend_on_no_unlabelled_image_and_no_label_of_val(base, tmp_path):
    stages = (*szn_runs.STAGE_ONE, *szn_runs.STAGE_TWO, *szn_runs.EVALUATION)
    folder = szn_runs.copied(base, tmp_path / "disturbed", ("szn/dump", "szn/dump_softmax"))
    unlabelled = [folder / "data/toy" / item.image for item in base.split.unlabelled]
    ignored = dict.fromkeys(base.split.unseen, label_ids.IGNORE_INDEX)
    assert leak_runs.rotate(unlabelled) > 0
    assert leak_runs.relabel(source_masks(folder, base.split.unlabelled), ignored) > 0
    # Each pixel of an unseen class becomes one of train_seen, and the reverse.
    trained, unseen = base.split.train_seen[1], base.split.unseen
    swapped = dict.fromkeys(unseen, trained) | {base.split.train_seen[0]: unseen[0]}
    assert leak_runs.relabel((folder / MASKS / "val").glob("*.png"), swapped) > 0
    tiny.run(folder, "szn/dump", "szn/dump_softmax", "szn/train_seenmask", *szn_runs.EVALUATION)
    written = szn_runs.changed(base, folder, *stages)
    scored = {out for name in szn_runs.EVALUATION for out in szn_runs.STAGES[name].outs}
    assert written - scored == {"features/szn/val", "features/szn/softmax_val"}

    # The labels that a variant gives to an image do not depend on its true labels; only SZN-PS reads them.
    def predicted(root, variant):
        counts = confusions(root, variant)
        return counts.counts["generalised"].toarray().reshape(-1, counts.n_classes, counts.n_classes).sum(axis=1)

    for variant in szn_runs.VARIANTS:
        same = np.array_equal(predicted(base.folder, variant), predicted(folder, variant))
        assert same == (variant != "szn_ps"), variant
        assert not np.array_equal(
            confusions(base.folder, variant).total("generalised"), confusions(folder, variant).total("generalised")
        )


def test_labels_and_images_of_train_unseen_classes_leave_stage_one_as_it_is(base, tmp_path):
    stages = ("szn/split", "szn/train_embedding", "szn/train_softmax")
    folder = szn_runs.copied(base, tmp_path / "disturbed", stages)
    held_out, items = base.split.train_unseen, held_out_items(base.folder, base.split)
    moved = dict(zip(held_out, [*held_out[1:], held_out[0]], strict=True))
    assert leak_runs.relabel(source_masks(folder, items), moved) > 0
    assert leak_runs.rotate(folder / "data/toy" / item.image for item in items) > 0
    tiny.run(folder, *stages)
    assert szn_runs.changed(base, folder, *stages) == {
        "data/szn/images.json", "data/szn/masks/train", "metrics/szn/split.csv"
    }  # fmt: skip


def test_stage_one_depends_on_labels_of_train_seen_classes(base, tmp_path):
    """If no change had an effect, the other tests of this file would prove nothing."""
    stages = ("szn/train_embedding", "szn/train_softmax")
    folder = szn_runs.copied(base, tmp_path / "disturbed", stages)
    first, second = base.split.train_seen[1:3]
    assert leak_runs.relabel((folder / MASKS / "train").glob("*.png"), {first: second, second: first}) > 0
    tiny.run(folder, *stages)
    assert szn_runs.changed(base, folder, *stages) == set(szn_runs.outs(*stages))


def test_a_second_run_of_cheap_stages_gives_the_same_bytes(base, tmp_path):
    stages = ("szn/cut_embedding", "szn/train_seenmask", "szn/evaluate@szn", "szn/pictures")
    folder = szn_runs.copied(base, tmp_path / "again", stages)
    tiny.run(folder, *stages)
    assert szn_runs.changed(base, folder, *stages) == set()


def check_theorem(folder, unseen):
    """Check that every unseen pixel that FCN-JE without a bias labels right SZN-PS labels right, as far as matrices of images tell."""
    joint, perfect = (confusions(folder, variant) for variant in ("fcn_je", "szn_ps"))
    assert joint.images == perfect.images
    for label in unseen:
        cell = label * joint.n_classes + label
        right = [one.counts["without_bias"][:, [cell]].toarray() for one in (joint, perfect)]
        assert (right[0] <= right[1]).all()


def check_metrics(folder):
    """Check the shape of the metrics of every variant, and what must hold between variants."""
    metrics = {name: json.loads((folder / f"metrics/szn/{name}.json").read_text()) for name in szn_runs.VARIANTS}
    for name, values in metrics.items():
        assert ("upper_bound" in values) == (name == "szn_ps")
        assert ("mask_accuracy" in values) == ("void" in values) == (name == "szn")
        assert ("candidates" in values) == (name in ("szn", "szn_ps"))
        assert set(values["thesis"]) == {"overall", "seen", "unseen"}
        assert all(set(group) == {"PA", "MA", "mIoU", "fwIoU"} for group in values["thesis"].values())
        assert all(
            set(values["generalised"][group]) == {"PA", "MA", "mIoU", "fwIoU"} for group in ("seen", "unseen", "all")
        )
        # The share of correct pixels of a group is the same in both readings.
        assert all(
            values["thesis"][group]["PA"] == pytest.approx(values["without_bias"][group]["PA"])
            for group in ("seen", "unseen")
        )
        assert values["train_unseen"] == metrics["fcn_s"]["train_unseen"]
        assert (values["seen_bias"] == 0) or name in ("fcn_je", "szn")
    assert set(metrics["szn"]["mask_accuracy"]) == {"train_seen", "train_unseen", "unseen"}
    assert len({json.dumps(values["split"]) for values in metrics.values()}) == 1
    right = {name: values["without_bias"]["unseen"]["PA"] for name, values in metrics.items()}
    if right["fcn_je"] is not None:
        assert right["fcn_s"] == 0 and right["fcn_je"] <= right["szn_ps"]


def test_metrics_and_the_theorem_at_the_tiny_size(base):
    check_metrics(base.folder)
    check_theorem(base.folder, base.split.unseen)


def test_metrics_and_the_theorem_in_the_repository():
    if not (dag.ROOT / "metrics/szn/szn_ps.json").exists():
        pytest.skip("SZN has not run here yet")
    check_metrics(dag.ROOT)
    if all((dag.ROOT / f"metrics/szn/{name}_images.h5").exists() for name in ("fcn_je", "szn_ps")):
        check_theorem(dag.ROOT, splits.read(dag.ROOT / "data/szn/split.json").unseen)


def test_pictures_are_of_evaluation_images(base):
    names = {path.stem for path in (base.folder / "plots/szn/pictures").iterdir()}
    assert names and names <= {item.id for item in base.split.val}
    assert {path for path in base.read["szn/pictures"] if path.startswith("data/toy/")} == {
        f"data/toy/{item.image}" for item in base.split.val if item.id in names
    }


def test_the_cache_says_its_network_and_has_rows_of_every_class_with_masks(base):
    val = {item.image: item for item in maps.read(base.folder / "features/szn/val")}
    assert set(val) == {item.id for item in base.split.val}
    for item in base.split.val:
        np.testing.assert_array_equal(
            val[item.id].mask, image_files.read_mask(base.folder / MASKS / f"val/{item.id}.png")
        )
    shown = {
        label for mask in (base.folder / MASKS / "train").iterdir() for label in np.unique(image_files.read_mask(mask))
    }
    present = np.flatnonzero(rows.presence(base.folder / "features/szn/train").any(axis=0))
    assert set(base.split.train_unseen) <= set(present) <= shown
