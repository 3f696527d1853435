"""The command `zeroshot shards`."""

import re

import numpy as np
import PIL.Image
import pytest

from tests.support import caches
from zeroshot.cache import describe, sampling
from zeroshot.commands import __main__ as commands
from zeroshot.datasets import splits


@pytest.fixture
def folders(tmp_path):
    """A cache of rows and one of maps."""
    train = caches.write_rows(tmp_path / "train", [caches.table([0, 1, 2, 0])])
    return train, caches.write_maps(tmp_path / "val", [[caches.scene("a", 2, 3)]])


def run(*folders):
    """Run the command and return its exit status."""
    try:
        commands.main(["shards", *map(str, folders)])
    except SystemExit as error:
        return error.code
    return 0


def test_an_intact_cache_is_described_with_exit_code_zero(folders, capsys):
    assert run(folders[0]) == 0
    assert capsys.readouterr() == (describe.describe(folders[0]) + "\n", "")


def test_a_folder_of_caches_names_them(folders, tmp_path):
    assert run(tmp_path) == f"{tmp_path}: is no cache itself; name one of those in it: {tmp_path}/train {tmp_path}/val"


def test_several_caches_are_described_in_order(folders, capsys):
    assert run(*reversed(folders)) == 0
    out = capsys.readouterr().out
    assert out == "".join(describe.describe(folder) + "\n" for folder in reversed(folders))


def test_damaged_caches_are_named_on_standard_error_and_intact_ones_described(folders, tmp_path, capsys):
    train, val = folders
    (train / "shard-00000.h5").write_bytes(b"cut")
    assert run(tmp_path / "none", train, val) == 1
    out, err = capsys.readouterr()
    assert out == describe.describe(val) + "\n"
    assert f"{tmp_path}/none: no readable index.json" in err
    assert "truncated or missing shards" in err and f"{train}/shard-00000.h5: 3, should be" in err
    assert "dvc repro dump_features" in err and "Traceback" not in err


def test_an_altered_shard_gives_exit_code_one(folders, capsys):
    path = folders[1] / "shard-00000.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert run(folders[1]) == 1
    assert capsys.readouterr().err.startswith(f"{path}: altered since it was written")


def test_a_folder_is_required():
    assert run() == "shards: name a cache, such as features/train"


COW = "cow"
TABLE = caches.table([0, 1, 2, 0, 1, 1], seed=3)


@pytest.fixture
def data_set(tmp_path, monkeypatch):
    """Caches of rows in two shards and of maps, photographs, and a split and a params.yaml that tell where they are."""
    caches.write_rows(tmp_path / "rows", [TABLE, caches.table([1, 2], seed=4)])
    caches.write_maps(tmp_path / "maps", [[caches.scene("a", 2, 3), caches.scene("b", 4, 5, seed=1)]])
    (tmp_path / "photographs").mkdir()
    for name in "abc":
        PIL.Image.fromarray(np.full((40, 48, 3), 90, np.uint8)).save(tmp_path / f"photographs/{name}.png")
    items = tuple(splits.Item(name, f"photographs/{name}.png") for name in "abc")
    splits.write(
        tmp_path / "split.json",
        splits.Split((*caches.CLASSES, "okapi"), (0, 1), (2, 3), "images", items[:0], items[:0], items),
    )
    (tmp_path / "params.yaml").write_text(f"data: {{root: '{tmp_path}'}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_class_of_a_cache_is_described_with_its_images(data_set, capsys):
    assert run("rows", "--class", COW) == 0
    lines = capsys.readouterr().out.splitlines()
    other = caches.table([1, 2], seed=4)
    images = np.concatenate([TABLE["image"][TABLE["label"] == 1], other["image"][other["label"] == 1]])
    counts = np.bincount(images)
    assert lines[0] == f"rows, class cow: 4 rows in {np.count_nonzero(counts)} images"
    whole = next(line for line in describe.describe("rows").splitlines() if line.startswith("  cow"))
    assert lines[2] == whole
    listed = [line.split() for line in lines[4:]]
    assert {name: int(count) for name, count in listed} == {"abc"[i]: n for i, n in enumerate(counts) if n}
    assert [int(count) for _, count in listed] == sorted(counts[counts > 0].tolist(), reverse=True)


def test_an_image_of_a_cache_is_described_with_its_positions(data_set, capsys):
    assert run("rows", "--image", "b") == 0
    out = capsys.readouterr().out
    of_image = TABLE["image"] == 1
    for label in np.unique(TABLE["label"][of_image]):
        chosen = of_image & (TABLE["label"] == label)
        for view, (y, x) in zip(TABLE["view"][chosen], TABLE["position"][chosen], strict=True):
            line = next(line for line in out.splitlines()[::-1] if line.startswith(f"  {caches.CLASSES[label]}"))
            assert f" {view}:{y},{x}" in line


def test_a_class_in_an_image_of_maps_is_described(data_set, capsys):
    assert run("maps", "--class", COW, "--image", "b") == 0
    _, features, mask = caches.scene("b", 4, 5, seed=1)
    values = features[sampling.label_cells(mask, 4) == 1].astype(np.float64)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"maps, class cow, image b: {len(values)} cells in 1 image"
    assert lines[2].split()[1:3] == [str(len(values)), f"{values.mean():.3f}"]


@pytest.mark.parametrize(
    "words",
    [
        ("rows", "--class", COW),
        ("rows", "--image", "a"),
        ("rows", "--image", "a", "--class", "background"),
        ("maps", "--class", COW),
        ("maps", "--image", "b"),
        ("maps", "--image", "b", "--class", COW),
    ],
    ids=" ".join,
)
def test_every_part_can_be_drawn(data_set, words):
    for name in ("one", "two"):
        assert run(*words, "--plot", f"{name}.svg", "--split", "split.json") == 0
    drawn = (data_set / "one.svg").read_bytes()
    assert drawn == (data_set / "two.svg").read_bytes()
    values = dict(zip(words[1::2], words[2::2], strict=True))
    title = ", ".join(
        [words[0], *(f"{key} {values[f'--{key}']}" for key in ("class", "image") if f"--{key}" in values)]
    )
    assert f">{title}<" in drawn.decode()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rows", "--class", "cwo"), "^rows: no class `cwo`; near names: cow"),
        (("maps", "--image", "d"), "^maps: no image `d`; there are a, b$"),
        (("rows", "--plot", "x.png"), "^shards: --plot needs --class or --image$"),
        (("rows", "maps", "--class", COW), "^shards: --class and --image are for one cache, found 2$"),
        (("rows", "--class", COW, "--plot", "x.gif"), r"^x.gif: needs one of the suffixes"),
        (("none", "--class", COW), "^none: no readable index.json"),
        (("rows", "--image", "a", "--plot", "x.png", "--split", "few.json"), "^few.json: no image `a`; there is none$"),
    ],
)
def test_what_cannot_be_described_is_named(data_set, words, message):
    splits.write("few.json", splits.Split(tuple(caches.CLASSES), (0, 1), (2,), "images", (), (), ()))
    assert re.search(message, run(*words))
    assert not list(data_set.glob("x.*"))


def test_a_class_without_features_is_not_drawn(data_set, capsys):
    caches.write_rows(data_set / "few", [caches.table([0, 0])])
    assert run("few", "--class", COW, "--plot", "x.png").startswith("few, class cow: has no feature")
    assert capsys.readouterr().out == "few, class cow: 0 rows in 0 images\n"
