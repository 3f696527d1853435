"""Stages and `dvc repro` killed at random moments: is the result the same afterwards?

    python -m benchmarks.kills /tmp/kills --trials 40

In a clone of the last commit with a small data set, each trial takes a stage by chance, runs it again by force, kills the whole group of
processes (`kill -9`) at a random moment, and then lets DVC finish what is missing. Every output of the pipeline is then compared with
that of an undisturbed run. The trials follow from the seed, but for the moment within a stage, which depends on the machine.
"""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
import tyro
import yaml

from zeroshot.base import storage

# Sizes at which every stage takes seconds.
_SMALL = {
    "toy": {"n_train": 80, "n_val": 8, "image_size": 32, "sentences": 300},
    "embeddings": {"dim": 8, "min_count": 1, "epochs": 1},
    "backbone": {"epochs": 2, "batch_size": 8},
    "features": {"shard_mib": 1},
    "gmmn": {"epochs": 3, "steps_per_epoch": 5},
    "classifier": {"epochs": 2, "steps_per_epoch": 5},
    "self_training": {"epochs": 2, "steps_per_epoch": 5},
    "baseline": {"epochs": 2, "steps_per_epoch": 5},
    "runtime": {"device": "cpu", "threads": 1},
}
_REPRO = "dvc repro"
_STAGES = (
    "make_toy",
    "prepare_split",
    "embed_classes",
    "train_backbone",
    "dump_features",
    "train_gmmn",
    "finetune_classifier",
    "self_train",
    "evaluate@zs3net",
    _REPRO,
)


def main(folder: tyro.conf.Positional[pathlib.Path], *, trials: int = 40, seed: int = 0) -> None:
    """Run the trials and print a table of them.

    Args:
        folder: where the clone is made; it must not exist.
        trials: how many.
        seed: of the stages and of the moments.
    """
    subprocess.run(["git", "clone", "--quiet", ".", str(folder)], check=True)
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text()), _SMALL), sort_keys=False))
    _dvc(folder)
    expected, durations = _outputs(folder), {}
    draw = random.Random(seed)
    rows = []
    for _ in range(trials):
        stage = draw.choice(_STAGES)
        words = ("--force",) if stage == _REPRO else ("--force", "--single-item", stage)
        if stage not in durations:
            start = time.perf_counter()
            _dvc(folder, *words)
            durations[stage] = time.perf_counter() - start
        _killed_after(folder, draw.uniform(0, durations[stage]), *words)
        done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=folder, capture_output=True, text=True)
        is_same = not done.returncode and _outputs(folder) == expected
        rows.append({"stage": stage, "trials": 1, "same bytes": int(is_same)})
        if not is_same:
            print(f"{stage}: {done.stderr[-2000:]}", file=sys.stderr)
            _dvc(folder, "--force")
    table = pd.DataFrame(rows).groupby("stage", sort=False).sum()
    table.loc["together"] = table.sum()
    print(table.to_markdown())


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values with some of them replaced."""
    replaced = {
        key: _merged(values[key], change) if isinstance(change, dict) else change for key, change in changes.items()
    }
    return {**values, **replaced}


def _dvc(folder: pathlib.Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", *words], cwd=folder, check=True)


def _killed_after(folder: pathlib.Path, seconds: float, *words: str) -> None:
    """Start `dvc repro` in a group of its own and kill the group after some seconds, if it still runs."""
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", *words]
    with subprocess.Popen(
        command, cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _outputs(folder: pathlib.Path) -> dict[str, str]:
    """Return the SHA-256 of every file of every output of the pipeline, as it is on the disk."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    outputs = [folder / out["path"] for stage in stages.values() for out in stage.get("outs", [])]
    files = [file for path in outputs for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return {str(file.relative_to(folder)): storage.sha256(file) for file in files if not file.is_dir()}


if __name__ == "__main__":
    tyro.cli(main)
