"""The job array of `zeroshot queue --slurm`, run by a stand-in for sbatch that executes its tasks one after the other."""

import hashlib
import os
import pathlib
import subprocess

import pytest
import yaml

from tests.support import comparison_repo
from zeroshot.commands import __main__ as commands
from zeroshot.experiments.comparison import dvc_experiments, run_list, slurm

# It logs its arguments, runs the tasks, and answers with a job number as sbatch does.
_SBATCH = """#!/bin/bash
set -eu
echo "$*" >> LOG
script=${@: -1}
for word in "$@"; do case $word in --array=*) range=${word#--array=} ;; esac; done
for task in $(seq "${range%-*}" "${range#*-}"); do
  cp "$script" spooled; SLURM_ARRAY_TASK_ID=$task bash spooled >> LOG.tasks 2>&1 || echo "failed $task" >> LOG.failed
done
echo "$((100 + $(wc -l < LOG)));cluster"
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository in which runs of one seed share a backbone, with raw data outside Git, and the log of backbones."""
    root = tmp_path / "my repository"
    log = comparison_repo.make(root)
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    every = stages.pop("evaluate")
    for name, model, sections in (("a", "seen_only", ["evaluation"]), ("b", "zs3net", ["gmmn", "evaluation"])):
        stages[f"evaluate_{name}"] = every | {
            "matrix": {"model": [model]},
            "params": sections,
            "deps": [*every["deps"], "data/raw/image.txt"],
        }
    comparison_repo.write(root / "dvc.yaml", {"stages": stages})
    (root / ".gitignore").write_text("/data/raw\n/jobs.sh\n")
    (root / "data/raw").mkdir()
    (root / "data/raw/image.txt").write_text("an image")
    monkeypatch.chdir(root)
    for words in ("git add -A", "git commit -q -m stages"):
        subprocess.run(words.split(), check=True)
    sbatch = tmp_path / "bin/sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(_SBATCH.replace("LOG", str(tmp_path / "sbatch.log")))
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sbatch.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nodes"))
    (tmp_path / "nodes").mkdir()
    return root, log


def queue(*words):
    commands.main(["queue", "tiny", "--method", "ZS3Net", "--method", "GAN", *words])


def submit(root, *words):
    subprocess.run(["bash", "jobs.sh", *words], check=True, cwd=root)


def hiou(root):
    """Return the hIoU of each finished experiment."""
    done = [experiment for experiment in dvc_experiments.read(root) if experiment.state == "done"]
    return sorted(experiment.metrics["metrics/zs3net.json"]["generalised"]["hIoU"] for experiment in done)


def test_the_array_trains_every_network_once_and_brings_the_experiments_back(repository, tmp_path, capsys):
    root, log = repository
    queue("--slurm", "jobs.sh")
    assert not log.exists() and "submit them with `bash jobs.sh`" in capsys.readouterr().out
    submit(root, "--gres=gpu:1")
    tasks = tmp_path / "sbatch.log.tasks"
    assert not (tmp_path / "sbatch.log.failed").exists(), tasks.read_text()
    first, second = (tmp_path / "sbatch.log").read_text().splitlines()
    assert "--array=0-1" in first and "--dependency" not in first
    assert "--array=2-3" in second and "--dependency=afterany:101" in second
    assert "--gres=gpu:1" in first and "--gres=gpu:1" in second
    assert sorted(log.read_text().splitlines()) == ["0 2", "1 2"]
    assert hiou(root) == [20.0, 20.5, 22.0, 22.5]
    assert list((tmp_path / "nodes").iterdir()) == []
    queue("--dry-run")
    assert "# 0 runs; 0 already in the queue" in capsys.readouterr().out
    # What the runs made is in the cache of the repository.
    for content in (b"20", b"21"):
        digest = hashlib.md5(content).hexdigest()
        assert (root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_bytes() == content
    # The same array once more finds its experiments there.
    tasks.unlink()
    submit(root)
    assert tasks.read_text().count("the repository has this experiment") == 4
    assert not (tmp_path / "sbatch.log.failed").exists()


def test_a_trained_network_is_not_trained_again(repository, tmp_path):
    root, log = repository
    commands.main(["queue", "tiny", "--seed", "0", "--method", "ZS3Net", "--here"])
    commands.main(["reset", "--all"])
    done = log.read_text()
    queue("--seed", "0", "--slurm", "jobs.sh")
    submit(root)
    (arguments,) = (tmp_path / "sbatch.log").read_text().splitlines()
    assert "--array=0-0" in arguments and "--dependency" not in arguments
    assert log.read_text() == done and len(hiou(root)) == 2


def test_a_run_fails_if_the_repository_does_not_take_its_experiment(repository, tmp_path):
    root, _ = repository
    commands.main(["queue", "tiny", "--seed", "0", "--method", "GAN", "--slurm", "jobs.sh"])
    script = root / "jobs.sh"
    script.write_text(script.read_text().replace("\ndvc exp push", "\ntrue #"))
    submit(root)
    assert (tmp_path / "sbatch.log.failed").read_text().split() == ["failed", "0"]
    assert "the repository did not take the experiment" in (tmp_path / "sbatch.log.tasks").read_text()
    assert len(list((tmp_path / "nodes").iterdir())) == 1


def test_nothing_is_written_without_a_missing_run_or_for_a_dry_run(repository):
    queue("--slurm", "jobs.sh", "--dry-run")
    assert not (repository[0] / "jobs.sh").exists()


def test_a_changed_workspace_and_two_ways_at_once_are_refused(repository):
    with pytest.raises(SystemExit, match="^--slurm: runs on other machines, and --here"):
        queue("--slurm", "jobs.sh", "--here")
    (repository[0] / "score.py").write_text("changed")
    with pytest.raises(SystemExit, match="^--slurm: its runs are of the last commit"):
        queue("--slurm", "jobs.sh")
    assert not (repository[0] / "jobs.sh").exists()


def test_the_first_run_of_every_untrained_network_comes_first():
    runs = [run_list.Run(name, {}, None, ()) for name in "abcdef"]
    networks = {"a": "one", "b": "one", "c": "two", "d": "one", "e": "three", "f": "two"}
    first, others = slurm.networks_first(runs, networks, {"two"})
    assert [run.name for run in first] == ["a", "e"] and [run.name for run in others] == ["b", "c", "d", "f"]


def test_raw_data_is_what_neither_git_nor_dvc_has(repository):
    root, _ = repository
    for path in (
        "data/pretrained/own.pth",
        "data/pretrained/none",
        "data/masks/train/0.png",
        "data/masks/mine.txt",
        "data/big/0.png",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / ".gitignore").write_text("/data/raw\n*.pth\n/data/masks\n/data/big\n")
    subprocess.run(["git", "add", "-A"], check=True)
    outputs = {pathlib.Path("data/masks/train"), pathlib.Path("data/big"), pathlib.Path("data/szn/split.json")}
    assert slurm._raw_data(root, outputs) == ["data/masks/mine.txt", "data/pretrained/own.pth", "data/raw"]
