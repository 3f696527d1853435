"""The stage make_toy."""

import hashlib
import pathlib

import numpy as np
import PIL.Image
import pytest
import yaml

from stages import make_toy
from tests.support import small_toy
from zeroshot.base import command_line
from zeroshot.datasets.toy import scenes
from zeroshot.images import image_files, label_ids


def digests(root: pathlib.Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `root` by its relative path."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def generate(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, workers: int = 1, **changes: int) -> pathlib.Path:
    """Run the stage in `folder` and return what it wrote."""
    folder.mkdir(exist_ok=True)
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": workers, "scratch": "work"}
    (folder / "params.yaml").write_text(yaml.safe_dump({"toy": small_toy.SETTINGS | changes, "runtime": runtime}))
    monkeypatch.chdir(folder)
    command_line.run(make_toy.main, ["--data-root", "data/toy"])
    return folder / "data" / "toy"


def test_stage_writes_voc_layout(tmp_path, monkeypatch):
    root = generate(tmp_path, monkeypatch)
    lists = {split: (root / f"ImageSets/Segmentation/{split}.txt").read_text().split() for split in ("train", "val")}
    assert {split: len(ids) for split, ids in lists.items()} == {"train": 5, "val": 3}
    expected = {
        f"{folder}/{name}.png" for name in sum(lists.values(), []) for folder in ("JPEGImages", "SegmentationClass")
    }
    expected |= {f"ImageSets/Segmentation/{split}.txt" for split in lists} | {"classes.txt", "corpus.txt"}
    assert set(digests(root)) == expected
    assert tuple((root / "classes.txt").read_text().splitlines()) == scenes.class_names()
    assert len((root / "corpus.txt").read_text().splitlines()) == 40
    image, mask = scenes.draw(small_toy.settings(), "val", 2)
    assert np.array_equal(image_files.read_image(root / "JPEGImages/val_00002.png"), image)
    assert np.array_equal(image_files.read_mask(root / "SegmentationClass/val_00002.png"), mask)
    with PIL.Image.open(root / "SegmentationClass/val_00002.png") as picture:
        assert picture.mode == "P"
        assert picture.getpalette()[:768] == np.delete(label_ids.palette(), range(255, 65535), axis=0).ravel().tolist()
    assert not list(root.parent.glob(".*"))


def test_stage_is_byte_identical_and_removes_old_files(tmp_path, monkeypatch):
    first = digests(generate(tmp_path / "one", monkeypatch))
    generate(tmp_path / "two", monkeypatch, seed=8, n_train=7)
    assert digests(generate(tmp_path / "two", monkeypatch)) == first


def test_stage_refuses_to_replace_files_of_others(tmp_path, monkeypatch):
    (tmp_path / "data/toy").mkdir(parents=True)
    (tmp_path / "data/toy/thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit, match="data/toy: contains other files than a dataset of make_toy; move them away"):
        generate(tmp_path, monkeypatch)
    assert (tmp_path / "data/toy/thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "names",
    [
        "\n".join(scenes.class_names()[:-1]),
        "\n".join((*scenes.class_names(), "cow")),
        "background\ncow\n",
        "",
        "vache tachet\xe9e",
    ],
    ids=["fewer", "more", "other", "none", "latin-1"],
)
def test_stage_refuses_to_replace_a_dataset_of_the_users(tmp_path, monkeypatch, names):
    root = tmp_path / "data/toy"
    (root / "JPEGImages").mkdir(parents=True)
    (root / "classes.txt").write_bytes(names.encode("latin-1"))
    (root / "JPEGImages/cow.jpg").write_bytes(b"a photograph")
    before = digests(root)
    with pytest.raises(SystemExit, match="data/toy: contains other files than a dataset of make_toy; move them away"):
        generate(tmp_path, monkeypatch)
    assert digests(root) == before and [path.name for path in root.parent.iterdir()] == ["toy"]


def test_two_processes_write_what_one_writes(tmp_path, monkeypatch):
    one = digests(generate(tmp_path / "one", monkeypatch, n_train=60))
    assert digests(generate(tmp_path / "two", monkeypatch, workers=2, n_train=60)) == one
