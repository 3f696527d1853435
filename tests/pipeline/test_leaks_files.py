"""Nothing about unseen classes reaches training: which files training reads, and the content of these files."""

import json
import pathlib

import numpy as np
import pytest

from tests.support import leak_runs
from zeroshot.cache import index
from zeroshot.images import image_files

base = leak_runs.base
pixels_base = leak_runs.pixels_base


def test_there_are_pseudo_labels(base):
    assert index.read(base.folder / "features/pseudo", "rows").shards


def test_training_masks_have_no_unseen_label(base, pixels_base):
    for run in (base, pixels_base):
        masks = sorted((run.folder / leak_runs.MASKS / "train").glob("*.png"))
        assert [path.stem for path in masks] == [item.id for item in run.split.train]
        assert not any(np.isin(image_files.read_mask(path), run.split.unseen).any() for path in masks)
    assert {item.id for item in base.split.train}.isdisjoint(item.id for item in base.split.unlabelled)
    assert {item.id for item in pixels_base.split.train} > {item.id for item in pixels_base.split.unlabelled}


def test_the_split_has_only_names_and_lists(base):
    document = json.loads((base.folder / "data/split.json").read_text())
    lists = {"train", "unlabelled", "val"}
    assert set(document) == {"classes", "seen", "train_unseen", "unseen", "exclude"} | lists
    assert all(set(item) == {"id", "image"} for name in lists for item in document[name])


@pytest.mark.parametrize("name", leak_runs.STAGES)
def test_a_stage_reads_only_the_files_in_dvc_yaml(base, name):
    read = base.read[name] - {"params.yaml"}
    named = {
        dep: {path for path in read if pathlib.PurePath(path).is_relative_to(dep)}
        for dep in leak_runs.STAGES[name].data
    }
    images = set()
    for part in leak_runs.STAGES[name].listed:
        listed = json.loads((base.folder / part).read_text())["sha256"]
        images |= {f"data/toy/{image}" for image in listed} & read
    assert read == images.union(*named.values())
    # The masks of the toy are label ids, so convert_labels reads and writes no mask.
    unread = {"convert_labels": ["data/toy"], "prepare_split": ["data/labels"]}
    assert [dep for dep, paths in named.items() if not paths] == unread.get(name, [])


def test_training_reads_only_images_of_its_list_from_the_dataset(base):
    """Some stages depend on the whole data set, so dvc.yaml does not separate its masks from its images."""

    def images(*lists):
        return {f"data/toy/{item.image}" for items in lists for item in items}

    read = {name: {path for path in paths if path.startswith("data/toy/")} for name, paths in base.read.items()}
    split = base.split
    assert read["train_backbone"] <= images(split.train)
    assert read["dump_features"] == images(split.train, split.unlabelled, split.val)
    assert read["embed_classes"] == {"data/toy/corpus.txt"}
    assert read["visualise"] <= images(split.val)


def test_generator_classifier_and_calibration_read_the_cache_of_training_pixels_only(base):
    cache = {path.relative_to(base.folder).as_posix() for path in (base.folder / "features/train").iterdir()}
    common = {"params.yaml", "data/split.json", *cache}
    assert base.read["train_gmmn"] == common | {"data/class_embeddings.h5", "data/pretrained/none"}
    assert base.read["finetune_classifier"] == common | {"models/gmmn.pt", "models/classifiers/seen_only.pt"}
    # Baselines read only features.
    features = common - {"features/train/graphs.h5"} | {"data/class_embeddings.h5"}
    assert all(base.read[name] == features for name in leak_runs.BASELINES)
