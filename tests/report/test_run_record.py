import hashlib
import subprocess

import pytest

from tests.support import pixel_world
from zeroshot.base import checkpoints
from zeroshot.datasets import splits
from zeroshot.networks import pretraining
from zeroshot.report import run_record, workspace


@pytest.fixture
def root(tmp_path):
    """A Git repository with DVC's folder, a lock file, a split and a network."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    splits.write(tmp_path / "data/split.json", pixel_world.split())
    checkpoints.save(
        tmp_path / "models/backbone.pt", {"config": {"encoder": "resnet18", "weights": "data/pretrained/none"}}
    )
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for words in (["init"], ["add", "dvc.lock"], ["commit", "-m", "first"]):
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def rows(root):
    (table,) = run_record.section(workspace.read(root), {}).blocks
    return dict(table.rows)


def test_the_record_has_commit_lock_file_split_and_network(root):
    record = rows(root)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True
    ).stdout.strip()
    assert record["commit"] == f"{commit}, without uncommitted changes"
    assert record["MD5 of dvc.lock"] == hashlib.md5(b"stages: {}\n").hexdigest()
    assert record["split"].startswith(workspace.read(root).checksum) and record["classes"].endswith("2 unseen")
    assert record["network"] == "resnet18, first weights data/pretrained/none"
    assert record["pretraining"] == "not recorded" and record["torch"]


def test_changes_that_are_not_committed_are_named(root):
    (root / "dvc.lock").write_text("stages: {a: {}}\n")
    assert rows(root)["commit"].endswith("with changes of tracked files that are not committed")


@pytest.mark.parametrize("recorded", ["labels", None])
def test_what_the_encoder_was_pretrained_with_is_said(root, recorded):
    config = {"encoder": "resnet18", "weights": "w.pt"} | ({"pretraining": recorded} if recorded else {})
    checkpoints.save(root / "models/backbone.pt", {"config": config})
    assert rows(root)["pretraining"] == (pretraining.SENTENCES[recorded] if recorded else "not recorded")


def test_a_folder_without_a_repository_has_no_commit(tmp_path):
    splits.write(tmp_path / "data/split.json", pixel_world.split())
    record = rows(tmp_path)
    assert record["commit"].startswith("unknown") and "dvc repro train_backbone" in record["network"]
