"""The stage make_shapes."""

import json

import numpy as np
import pycocotools.coco
import pycocotools.mask
import pytest
import yaml

from stages.zsi import make_shapes
from tests.stages import test_make_toy
from tests.support import dag, small_shapes
from zeroshot.base import command_line
from zeroshot.datasets.shapes import arrangements
from zeroshot.images import image_files


def generate(folder, monkeypatch, workers=1, **changes):
    """Run the stage in `folder` and return what it wrote."""
    (folder / "zsi").mkdir(parents=True, exist_ok=True)
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": workers, "scratch": "work"}
    (folder / dag.PARAMS).write_text(yaml.safe_dump({"runtime": runtime}))
    (folder / dag.ZSI_PARAMS).write_text(yaml.safe_dump({"shapes": small_shapes.SETTINGS | changes}))
    monkeypatch.chdir(folder)
    command_line.run(make_shapes.main, ["--data-root", "data/shapes"])
    return folder / "data" / "shapes"


def test_stage_writes_files_that_pycocotools_reads(tmp_path, monkeypatch, capsys):
    root = generate(tmp_path, monkeypatch)
    pictures = {
        f"images/{split}/{split}_{index:05d}.png" for split, n in (("train", 5), ("val", 3)) for index in range(n)
    }
    assert set(test_make_toy.digests(root)) == pictures | {"instances_train.json", "instances_val.json", "corpus.txt"}
    assert len((root / "corpus.txt").read_text().splitlines()) == 40
    val = pycocotools.coco.COCO(root / "instances_val.json")
    assert {one["id"]: one["name"] for one in val.dataset["categories"]} == {
        one.id: one.name for one in arrangements.categories()
    }
    picture = val.imgs[sorted(val.imgs)[2]]
    image, instances = arrangements.draw(small_shapes.settings(), "val", 2)
    np.testing.assert_array_equal(image_files.read_image(root / "images/val" / picture["file_name"]), image)
    entries = val.loadAnns(val.getAnnIds(picture["id"]))
    assert [entry["category_id"] for entry in entries] == [one.category.id for one in instances]
    for entry, instance in zip(entries, instances, strict=True):
        np.testing.assert_array_equal(val.annToMask(entry), instance.mask)
        rows, columns = np.nonzero(instance.mask)
        left, top, width, height = entry["bbox"]
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
        assert entry["area"] == instance.mask.sum() and entry["iscrowd"] == 0
    train = json.loads((root / "instances_train.json").read_text())
    for what in ("images", "annotations"):
        assert not {one["id"] for one in train[what]} & {one["id"] for one in val.dataset[what]}


def test_a_larger_set_begins_with_the_smaller_and_two_processes_write_what_one_writes(tmp_path, monkeypatch):
    small = test_make_toy.digests(generate(tmp_path / "small", monkeypatch))
    assert test_make_toy.digests(generate(tmp_path / "again", monkeypatch)) == small
    root = generate(tmp_path / "large", monkeypatch, workers=2, n_train=52)
    large = test_make_toy.digests(root)
    assert {name: large[name] for name in small if name != "instances_train.json"} == {
        name: digest for name, digest in small.items() if name != "instances_train.json"
    }
    before, after = (
        json.loads((tmp_path / name / "data/shapes/instances_train.json").read_text()) for name in ("small", "large")
    )
    for what in ("images", "annotations"):
        assert after[what][: len(before[what])] == before[what] and len(after[what]) > len(before[what])


@pytest.mark.parametrize("content", ["{}", '{"info": {"description": "my years of work"}}', "[1]", "{"])
def test_stage_refuses_to_replace_files_of_others(tmp_path, monkeypatch, content):
    root = tmp_path / "data/shapes"
    root.mkdir(parents=True)
    (root / "instances_train.json").write_text(content)
    with pytest.raises(SystemExit, match="data/shapes: contains other files than a dataset of make_shapes"):
        generate(tmp_path, monkeypatch)
    assert (root / "instances_train.json").read_text() == content
