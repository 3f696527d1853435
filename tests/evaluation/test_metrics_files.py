"""The split that metrics belong to, and their summary."""

import dataclasses
import json

import pytest

from tests.evaluation import test_results_table
from tests.support import pixel_world
from zeroshot.base import errors
from zeroshot.commands import __main__ as commands
from zeroshot.datasets import splits
from zeroshot.evaluation import metrics_files

SPLIT = dataclasses.replace(
    pixel_world.split(), val=tuple(splits.Item(name, f"JPEGImages/{name}.jpg") for name in ("a", "b"))
)


def write(folder, name, split=SPLIT, dataset="world", **changes):
    """Write metrics of a split to `folder`."""
    folder.mkdir(exist_ok=True)
    test_results_table.write(folder, name, split=metrics_files.split_entry(split, dataset), **changes)
    return folder / f"{name}.json"


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ("x", *SPLIT.classes[1:])},
        {"seen": (0, *SPLIT.unseen), "unseen": SPLIT.seen[1:]},
        {"val": SPLIT.val[1:]},
    ],
    ids=["classes", "roles", "images"],
)
def test_the_checksum_depends_on_what_makes_metrics_comparable(change):
    checksum = metrics_files.split_entry(SPLIT, "world")["checksum"]
    assert metrics_files.split_entry(dataclasses.replace(SPLIT, **change), "world")["checksum"] != checksum


def test_the_checksum_does_not_depend_on_training_images_and_on_the_folder_of_the_dataset():
    entry = metrics_files.split_entry(SPLIT, "world")
    assert (entry["dataset"], entry["unseen"]) == ("world", len(SPLIT.unseen))
    other = dataclasses.replace(SPLIT, train=SPLIT.train[1:], exclude="pixels")
    assert metrics_files.split_entry(other, "copy") == entry | {"dataset": "copy"}


def test_the_results_of_szn_are_those_of_its_own_split(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    other = dataclasses.replace(SPLIT, seen=SPLIT.seen + SPLIT.unseen, unseen=())
    (tmp_path / "metrics").mkdir()
    write(tmp_path / "metrics/szn", "szn")
    (tmp_path / "data/szn").mkdir(parents=True)
    splits.write(tmp_path / "data/split.json", other)
    splits.write(tmp_path / "data/szn/split.json", SPLIT)
    commands.main(["results", "metrics/szn"])
    assert capsys.readouterr().out.splitlines()[2].startswith("szn, ")
    with pytest.raises(SystemExit, match="no metrics belong to the split of data/split.json"):
        commands.main(["results", "metrics/szn", "--split", "data/split.json"])


def test_the_results_are_those_of_the_present_split_and_name_the_files_of_others(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    other = dataclasses.replace(SPLIT, seen=SPLIT.seen + SPLIT.unseen, unseen=())
    for name, split, dataset in (("zs3net", SPLIT, "world"), ("ale", other, "world"), ("devise", other, "VOC2012")):
        write(tmp_path / "metrics", name, split, dataset)
    (tmp_path / "data").mkdir()
    splits.write(tmp_path / "data/split.json", SPLIT)
    commands.main(["results"])
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in lines[:-2]] == ["zs3net,"]
    assert lines[-1] == (
        "not of the split of data/split.json: metrics/ale.json (world, 0 unseen), metrics/devise.json (VOC2012, 0 unseen)"
    )
    splits.write(tmp_path / "data/split.json", dataclasses.replace(SPLIT, val=SPLIT.val[1:]))
    with pytest.raises(SystemExit, match=r"^no metrics belong to the split of data/split.json, but to others: "):
        commands.main(["results"])


def test_without_a_present_split_all_metrics_must_belong_to_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "metrics", "ale")
    write(tmp_path / "metrics", "zs3net", dataset="copy")
    commands.main(["results"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:-1]] == ["ale,", "zs3net,"]
    write(tmp_path / "metrics", "spnet", dataclasses.replace(SPLIT, val=SPLIT.val[1:]))
    with pytest.raises(
        SystemExit, match=r"^the metrics belong to different splits.*: metrics/ale.json \(world, 2 unseen\), "
    ):
        commands.main(["results"])


def test_the_summary_has_rounded_figures_of_every_model(tmp_path):
    write(tmp_path, "ale")
    generalised = test_results_table.metrics(10)
    generalised["hIoU"] = 80.00000000000001
    generalised["unseen"]["mIoU"] = None
    write(tmp_path, "zs3net", generalised=generalised)
    (tmp_path / "summary.json").write_text("{}")
    selection = metrics_files.of_one_split(metrics_files.paths(tmp_path), None)
    assert metrics_files.summary(selection.values) == {
        "hIoU": {"ale": 50.94, "zs3net": 80.0},
        "seen": {"ale": 52.26, "zs3net": 12.26},
        "unseen": {"ale": 55.26, "zs3net": None},
    }


def test_metrics_without_a_split_are_refused(tmp_path):
    path = write(tmp_path, "ale")
    values = json.loads(path.read_text())
    del values["split"]
    path.write_text(json.dumps(values))
    with pytest.raises(
        errors.UserError, match=r"ale\.json: .*split: Field required.*; write it again with `dvc repro`"
    ):
        metrics_files.of_one_split([path], None)
