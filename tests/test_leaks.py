"""Nothing about unseen classes reaches training: a change of the files that must not matter, does not.

The stages run for real, in this process, at the tiny size. The rules are those of DESIGN.md, section 3.
"""

import dataclasses
import json
import pathlib
import shutil
import sys

import h5py
import numpy as np
import pytest
import yaml

from tests import dag, tiny
from zs3 import images, label_ids, splits
from zs3.shards import index

STAGES = dag.stages(tiny.settings())
PREPARATION = ("make_toy", "convert_labels", "prepare_split", "embed_classes")
BASELINES = tuple(name for name in STAGES if name.startswith("train_baseline@"))
TRAINING = ("train_backbone", "dump_features", "train_gmmn", "finetune_classifier", *BASELINES)
EVALUATION = tuple(name for name in STAGES if name.startswith("evaluate@")) + ("visualise",)
SELF_TRAINING = ("pseudo_label", "self_train")
REPORTS = ("report_pseudo_labels",)
TRAINED = tuple(out for name in (*TRAINING, *SELF_TRAINING) for out in STAGES[name].outs)
# What may depend on which pictures are in the unlabelled list; nothing may depend on their masks.
# Self-training is calibrated on training pictures.
FROM_UNLABELLED_PICTURES = {"features/unlabelled", *(out for name in SELF_TRAINING for out in STAGES[name].outs)} - {
    "metrics/self_training_calibration.csv"
}
PICTURES = pathlib.Path("data/toy/JPEGImages")
SOURCE_MASKS = pathlib.Path("data/toy/SegmentationClass")
MASKS = pathlib.Path("data/masks")

# Python tells an audit hook of every file it opens; a hook cannot be taken away again, so this one has a switch.
_opened: list[str] = []
_listening = False


def _on_event(event: str, arguments: tuple) -> None:
    if _listening and event == "open" and isinstance(arguments[0], str) and "w" not in (arguments[1] or ""):
        _opened.append(arguments[0])


sys.addaudithook(_on_event)


class ReportedFile(h5py.File):
    """HDF5 opens its files without telling Python."""

    def __init__(self, name, mode="r", **options):
        if mode == "r":
            _opened.append(str(name))
        super().__init__(name, mode, **options)


def files_read(folder: pathlib.Path, name: str) -> set[str]:
    """Run a stage and return which of the files that were below `folder` before it read, relative to `folder`."""
    global _listening
    given = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    _opened.clear()
    _listening = True
    try:
        tiny.run(folder, name)
    finally:
        _listening = False
    paths = [folder / path for path in _opened]
    return given & {path.relative_to(folder).as_posix() for path in paths if path.is_relative_to(folder)}


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: its folder, the split, the digests of what training wrote, and the files that each stage read."""

    folder: pathlib.Path
    split: splits.Split
    trained: dict[str, str]
    read: dict[str, set[str]]


def finish(folder: pathlib.Path, names: tuple[str, ...]) -> Run:
    """Run stages, those of `TRAINING` among them, and watch what they read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5py, "File", ReportedFile)
        read = {name: files_read(folder, name) for name in names}
    return Run(folder, splits.read(folder / "data/split.json"), tiny.digests(folder, *TRAINED), read)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The run that others are compared with, under `data.exclude: images`."""
    return finish(
        tiny.make(tmp_path_factory.mktemp("leaks") / "base"),
        (*PREPARATION, *TRAINING, *SELF_TRAINING, *REPORTS, "feature_oracle", *EVALUATION),
    )


@pytest.fixture(scope="module")
def pixels_base(base):
    """The same under `data.exclude: pixels`."""
    folder = copied(base, base.folder.with_name("pixels"))
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.settings({"data": {"exclude": "pixels"}})))
    return finish(folder, ("prepare_split", *TRAINING, *SELF_TRAINING))


@pytest.fixture(scope="module")
def graph_base(base):
    """The same with a generator that knows what touches a component, and places unseen classes where seen ones stand."""
    folder = copied(base, base.folder.with_name("graph"))
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.settings({"gmmn": {"generator": "graph"}})))
    return finish(folder, TRAINING)


def copied(run: Run, folder: pathlib.Path) -> pathlib.Path:
    """Copy a run without what training made of it."""
    return shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("work", "models", "features", "metrics"))


def changed(run: Run, folder: pathlib.Path) -> set[str]:
    """Return the outputs of training in which `folder` differs from `run`."""
    found = tiny.digests(folder, *TRAINED)
    differing = {path for path in run.trained.keys() | found.keys() if run.trained.get(path) != found.get(path)}
    return {out for out in TRAINED if any(pathlib.PurePath(path).is_relative_to(out) for path in differing)}


def relabel(paths, labels: dict[int, int]) -> int:
    """Overwrite labels in masks and return the number of pixels that changed."""
    table = np.arange(256, dtype=np.uint8)
    table[list(labels)] = list(labels.values())
    count = 0
    for path in paths:
        mask = images.read_mask(path)
        images.write_mask(path, table[mask])
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
    return [*(folder / SOURCE_MASKS).glob("train_*.png"), *(folder / MASKS / "unlabelled").glob("*.png")]


def unseen_become_ignored(folder, split):
    return relabel(training_masks(folder), {label: label_ids.IGNORE_INDEX for label in split.unseen})


def unseen_become_other_unseen(folder, split):
    return relabel(training_masks(folder), dict(zip(split.unseen, split.unseen[::-1], strict=True)))


def unlabelled_pictures_change_places(folder, split):
    return rotate(folder / "data/toy" / item.image for item in split.unlabelled)


def val_masks_are_another(folder, split):
    masks = [*(folder / SOURCE_MASKS).glob("val_*.png"), *(folder / MASKS / "val").glob("*.png")]
    return relabel(masks, {label: (label + 1) % len(split.classes) for label in range(len(split.classes))})


def val_pictures_change_places(folder, split):
    return rotate(folder / "data/toy" / item.image for item in split.val)


@pytest.mark.parametrize(
    ("disturb", "followers"),
    [
        (unseen_become_ignored, set()),
        (unseen_become_other_unseen, set()),
        # The same pictures in another order have as many pseudo-labels of each class.
        (unlabelled_pictures_change_places, FROM_UNLABELLED_PICTURES - {"metrics/pseudo_counts.csv"}),
        (val_masks_are_another, {"features/val"}),
        (val_pictures_change_places, {"features/val"}),
    ],
)
def test_after_prepare_split_training_is_blind_to(base, tmp_path, disturb, followers):
    folder = copied(base, tmp_path / "disturbed")
    assert disturb(folder, base.split) > 0
    tiny.run(folder, *TRAINING, *SELF_TRAINING)
    assert changed(base, folder) == followers


@pytest.mark.parametrize("disturb", [unseen_become_ignored, unseen_become_other_unseen])
def test_with_graph_context_too_training_is_blind_to(graph_base, tmp_path, disturb):
    folder = copied(graph_base, tmp_path / "disturbed")
    assert disturb(folder, graph_base.split) > 0
    tiny.run(folder, *TRAINING)
    assert changed(graph_base, folder) == set()
    assert not any(path.startswith("data/masks/unlabelled") for paths in graph_base.read.values() for path in paths)


def test_the_feature_oracle_follows_the_held_labels_and_nothing_in_training_reads_them(base, tmp_path):
    folder = copied(base, tmp_path / "disturbed")
    masks = {f"data/masks/unlabelled/{item.id}.png" for item in base.split.unlabelled}
    assert masks == {path for path in base.read["feature_oracle"] if path.startswith("data/masks/")}
    assert not any(masks & base.read[name] for name in (*TRAINING, *EVALUATION))
    shutil.copytree(base.folder / "models", folder / "models")
    shutil.copytree(base.folder / "features", folder / "features")
    before = tiny.digests(folder, "models/feature_oracle.pt")
    assert unseen_become_other_unseen(folder, base.split) > 0
    tiny.run(folder, "feature_oracle")
    assert tiny.digests(folder, "models/feature_oracle.pt") != before


def test_a_seen_label_is_not_something_training_is_blind_to(base, tmp_path):
    """Were the runs alike whatever changes, the tests here would prove nothing."""
    folder = copied(base, tmp_path / "disturbed")
    label = base.split.seen[1]
    assert relabel((folder / MASKS / "train").glob("*.png"), {label: label_ids.IGNORE_INDEX}) > 0
    tiny.run(folder, *TRAINING, *SELF_TRAINING)
    assert changed(base, folder) >= set(TRAINED) - {"features/val", "features/unlabelled"}


def test_which_unseen_class_a_pixel_has_does_not_matter_to_the_split(base, tmp_path):
    folder = copied(base, tmp_path / "disturbed")
    before = tiny.digests(folder, "data/split.json", "data/masks/train")
    assert unseen_become_other_unseen(folder, base.split) > 0
    tiny.run(folder, "prepare_split")
    assert tiny.digests(folder, "data/split.json", "data/masks/train") == before


@pytest.mark.parametrize("disturb", [unseen_become_other_unseen, unseen_become_ignored])
def test_where_pixels_are_excluded_nothing_from_the_split_on_depends_on_unseen_labels(pixels_base, tmp_path, disturb):
    folder = copied(pixels_base, tmp_path / "disturbed")
    before = tiny.digests(folder, "data/split.json", "data/masks/train")
    assert disturb(folder, pixels_base.split) > 0
    tiny.run(folder, "prepare_split", *TRAINING, *SELF_TRAINING)
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


def test_there_are_pseudo_labels_that_could_leak(base):
    assert index.read(base.folder / "features/pseudo", "rows").shards


def test_masks_for_training_hold_no_unseen_label(base, pixels_base):
    for run in (base, pixels_base):
        masks = sorted((run.folder / MASKS / "train").glob("*.png"))
        assert [path.stem for path in masks] == [item.id for item in run.split.train]
        assert not any(np.isin(images.read_mask(path), run.split.unseen).any() for path in masks)
    assert {item.id for item in base.split.train}.isdisjoint(item.id for item in base.split.unlabelled)
    assert {item.id for item in pixels_base.split.train} > {item.id for item in pixels_base.split.unlabelled}


def test_the_split_holds_names_and_lists_only(base):
    document = json.loads((base.folder / "data/split.json").read_text())
    lists = {"train", "unlabelled", "val"}
    assert set(document) == {"classes", "seen", "unseen", "exclude"} | lists
    assert all(set(item) == {"id", "image"} for name in lists for item in document[name])


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reads_what_dvc_yaml_names_and_nothing_else(base, name):
    read = base.read[name] - {"params.yaml"}
    named = {dep: {path for path in read if pathlib.PurePath(path).is_relative_to(dep)} for dep in STAGES[name].data}
    assert read == set().union(*named.values())
    # The toy's masks are label ids already: nothing to convert, nothing converted.
    unread = {"convert_labels": ["data/toy"], "prepare_split": ["data/labels"]}
    assert [dep for dep, paths in named.items() if not paths] == unread.get(name, [])


def test_of_the_dataset_training_reads_only_pictures_of_its_list(base):
    """The dataset is a dependency as a whole, so dvc.yaml cannot tell its masks and pictures apart."""

    def pictures(*lists):
        return {f"data/toy/{item.image}" for items in lists for item in items}

    read = {name: {path for path in paths if path.startswith("data/toy/")} for name, paths in base.read.items()}
    split = base.split
    assert read["train_backbone"] <= pictures(split.train)
    assert read["dump_features"] == pictures(split.train, split.unlabelled, split.val)
    assert read["embed_classes"] == {"data/toy/corpus.txt"}
    assert read["visualise"] <= pictures(split.val)


def test_generator_classifier_and_calibration_read_the_cache_of_training_pixels_only(base):
    cache = {path.relative_to(base.folder).as_posix() for path in (base.folder / "features/train").iterdir()}
    common = {"params.yaml", "data/split.json", *cache}
    assert base.read["train_gmmn"] == common | {"data/class_embeddings.h5", "data/pretrained/none"}
    assert base.read["finetune_classifier"] == common | {"models/gmmn.pt", "models/seen_only.pt"}
    # Baselines look at features alone.
    features = common - {"features/train/graphs.h5"} | {"data/class_embeddings.h5"}
    assert all(base.read[name] == features for name in BASELINES)
