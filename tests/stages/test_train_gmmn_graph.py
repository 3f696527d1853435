"""The stage train_gmmn with graph context: the source of the places of unseen classes, and invalid sources."""

import numpy as np
import pytest
import torch

from tests.support import graph_world, quick_sections, stage_files
from zeroshot.base import checkpoints
from zeroshot.cache import graphs, index, rows
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.words import class_embeddings

CLASSES = ("sand", "sea", "cat", "dog", "fox", "sky")


def make(folder):
    """Write the inputs of the stage: the cache of graph_world, and masks of two unlabelled images with class 4."""
    world, table = graph_world.make()
    n_images = int(world.image.max()) + 1
    unlabelled = tuple(splits.Item(name, f"{name}.png") for name in ("u", "w"))
    splits.write(
        folder / "data/split.json",
        splits.Split(CLASSES, graph_world.SEEN, graph_world.UNSEEN, "images", (), unlabelled, ()),
    )
    vectors = class_embeddings.ClassEmbeddings(CLASSES, graph_world.EMBEDDINGS.numpy())
    class_embeddings.write(folder / "data/class_embeddings.h5", vectors, {})
    shard = folder / "features/train/shard-00000.h5"
    rows.write(shard, table | {"position": np.zeros((len(table["label"]), 2), np.uint16)})
    graphs.write(shard.with_name(graphs.NAME), world)
    entry = {"file": shard.name, "bytes": shard.stat().st_size, "rows": len(table["label"])}
    entry |= {"sha256": index.storage.sha256(shard), "offsets": np.searchsorted(table["label"], range(7)).tolist()}
    names = [f"image{number}" for number in range(n_images)]
    described = graphs.describe(shard.with_name(graphs.NAME))
    presence = index.presence([shard], n_images)
    index.write(shard.parent, index.Index("rows", 4, 4, list(CLASSES), names, [entry], {}, described, presence))
    (folder / "data/pretrained").mkdir()
    (folder / "data/pretrained/none").touch()
    for name, around in (("u", 0), ("w", 1)):
        mask = np.full((32, 32), around, np.uint16)
        mask[8:24, 8:24] = 4
        image_files.write_mask(folder / f"data/masks/unlabelled/{name}.png", mask)


def run(folder, monkeypatch, masks="data/pretrained/none", **graph):
    section = quick_sections.gmmn_section()
    section |= {"generator": "graph", "epochs": 1, "steps_per_epoch": 3}
    section["graph"] = section["graph"] | {"masks": masks, "contexts_per_class": 5} | graph
    words = stage_files.ARGUMENTS["train_gmmn"].replace("data/pretrained/none", masks)
    monkeypatch.setitem(stage_files.ARGUMENTS, "train_gmmn", words)
    stage_files.run(folder, monkeypatch, "train_gmmn", gmmn=section)
    return checkpoints.load(folder / "models/gmmn.pt")


def test_without_masks_the_places_are_those_of_seen_classes(tmp_path, monkeypatch):
    make(tmp_path)
    monkeypatch.setattr(image_files, "read_mask", None)
    places = run(tmp_path, monkeypatch)["network"]["_extra_state"]
    assert not (places["labels"] == 4).any() and len(places["roots"]) == 5 * 5
    again = tmp_path / "again"
    make(again)
    run(again, monkeypatch)
    assert (again / "models/gmmn.pt").read_bytes() == (tmp_path / "models/gmmn.pt").read_bytes()


def test_masks_give_the_true_places_of_unseen_classes(tmp_path, monkeypatch):
    make(tmp_path)
    saved = run(tmp_path, monkeypatch, "data/masks/unlabelled")
    places = saved["network"]["_extra_state"]
    roots = places["labels"][places["roots"]]
    assert torch.bincount(roots).tolist() == [5, 5, 5, 5, 2, 5]
    # Each of the two masks has one component of class 4 around which the other starts, at the mask's corner.
    true_places = {tuple(places["labels"][root - 1 : root + 1].tolist()) for root in places["roots"][roots == 4]}
    assert true_places == {(0, 4), (1, 4)} and saved["config"]["graph"]["masks"] == "data/masks/unlabelled"


@pytest.mark.parametrize("masks", ["data/masks/unlabeled", "data/split.json", "data/masks/none"])
def test_masks_that_are_no_folder_and_a_folder_named_none_are_refused(tmp_path, monkeypatch, masks):
    make(tmp_path)
    (tmp_path / "data/masks/none").mkdir()
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, monkeypatch, masks)
    assert str(caught.value) == (
        f"gmmn.graph.masks: needs a folder of masks such as data/masks/unlabelled, or data/pretrained/none for none; found {masks}"
    )


def test_a_placeholder_file_that_is_not_empty_is_refused(tmp_path, monkeypatch):
    make(tmp_path)
    (tmp_path / "data/pretrained/none").write_text("masks")
    with pytest.raises(
        SystemExit, match="gmmn.graph.masks: data/pretrained/none is not empty, as a file named none must be"
    ):
        run(tmp_path, monkeypatch)


@pytest.mark.parametrize("context", [None, "near"])
def test_the_classifier_records_the_source_of_the_places(tmp_path, monkeypatch, context):
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    start = pixel_classifier.PixelClassifier(
        graph_world.EMBEDDINGS[list(graph_world.SEEN)] @ torch.eye(3, 4),
        torch.zeros(5),
        torch.tensor(graph_world.SEEN),
        torch.zeros(5, dtype=torch.bool),
    )
    pixel_classifier.save(tmp_path / "models/classifiers/seen_only.pt", start)
    section = quick_sections.gmmn_section(generator="graph" if context else "mlp", epochs=1, steps_per_epoch=3)
    stage_files.run(tmp_path, monkeypatch, "train_gmmn", "finetune_classifier", gmmn=section)
    model, facts = pixel_classifier.load(tmp_path / "models/classifiers/zs3net.pt")
    assert facts.get("graph_context") == context
    assert model.labels[model.unseen].tolist() == [4] and torch.isfinite(model.weight).all()
