"""The pipeline without unseen classes, which is the supervised upper bound: every stage runs."""

import json

import pytest
import yaml

from tests.support import dag, tiny
from zeroshot.datasets import splits
from zeroshot.evaluation import metrics_files, results_table

SETTINGS = [{"unseen": []}, {"unseen": None, "n_unseen": 0}]


@pytest.fixture(scope="module")
def supervised(tmp_path_factory):
    folder = tiny.make(tmp_path_factory.mktemp("supervised"), {"data": SETTINGS[0]})
    tiny.run(folder, *dag.stages(tiny.settings()))
    return folder


def test_evaluation_reports_all_classes_and_none_unseen(supervised):
    files = metrics_files.paths(supervised / "metrics")
    assert {"seen_only", "zs3net"} <= {path.stem for path in files}
    for path in files:
        metrics = json.loads(path.read_text())["generalised"]
        assert metrics["all"] == metrics["seen"] and None not in metrics["all"].values()
        assert metrics["hIoU"] is None and set(metrics["unseen"].values()) == {None}
    assert "zs3net" in results_table.table(supervised / "metrics")


def test_two_settings_without_unseen_classes_give_the_same_split(supervised):
    split = (supervised / "data/split.json").read_bytes()
    assert splits.read(supervised / "data/split.json").unseen == ()
    (supervised / "params.yaml").write_text(yaml.safe_dump(tiny.settings({"data": SETTINGS[1]})))
    tiny.run(supervised, "prepare_split")
    assert (supervised / "data/split.json").read_bytes() == split
