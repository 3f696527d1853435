"""Stages and `dvc repro` killed or interrupted at random moments: is the result the same afterwards?

    python -m benchmarks.kills /tmp/kills --trials 40

In a clone of the last commit with a small data set, each trial takes a stage by chance, runs it again by force, and at a random moment
sends SIGKILL, SIGINT or SIGTERM to the stage, to DVC or to the whole group of processes. Then DVC finishes what is missing. Columns of
the printed table: `same bytes`: every output of the pipeline is that of an undisturbed run. `no traceback`: nothing printed one.
`ended`: no process was left a minute after DVC's end. The trials follow from the seed, but for the moment within a stage, which depends
on the machine.
"""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
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
_SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_TARGETS = ("stage", "DVC", "group")
# Seconds in which every process must end after DVC.
_PATIENCE = 60.0
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
        what, whom = draw.choice(_SIGNALS), draw.choice(_TARGETS)
        said, ended = _disturbed(folder, draw.uniform(0, durations[stage]), what, whom, *words)
        done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=folder, capture_output=True, text=True)
        is_same = not done.returncode and _outputs(folder) == expected
        is_quiet = "Traceback" not in said
        facts = {"same bytes": is_same, "no traceback": is_quiet, "ended": ended}
        rows.append({"signal": what.name, "to": whom, "trials": 1, **{name: int(fact) for name, fact in facts.items()}})
        if not all(facts.values()):
            print(f"{stage}, {what.name} to {whom}: {facts}\n{said[-2000:]}\n{done.stderr[-2000:]}", file=sys.stderr)
        if not is_same:
            _dvc(folder, "--force")
    table = pd.DataFrame(rows).groupby(["signal", "to"]).sum().reset_index()
    together = table.drop(columns=["signal", "to"]).sum()
    table.loc[len(table)] = {"signal": "together", "to": "", **together}
    print(table.to_markdown(index=False))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values with some of them replaced."""
    replaced = {
        key: _merged(values[key], change) if isinstance(change, dict) else change for key, change in changes.items()
    }
    return {**values, **replaced}


def _dvc(folder: pathlib.Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", *words], cwd=folder, check=True)


def _disturbed(folder: pathlib.Path, seconds: float, what: signal.Signals, whom: str, *words: str) -> tuple[str, bool]:
    """Start `dvc repro` in a session of its own and send a signal after some seconds, if it still runs.

    Returns:
        what was printed on standard error, and whether all processes of the session ended in time.
    """
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", *words]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=said)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            stages = [pid for pid, line in _session(process.pid).items() if b"stages." in line and b"dvc" not in line]
            # Between two stages there is none.
            if whom == "stage" and stages:
                os.kill(min(stages), what)
            elif whom == "DVC":
                process.send_signal(what)
            else:
                os.killpg(process.pid, what)
        process.wait()
        deadline = time.monotonic() + _PATIENCE
        while (left := _session(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.2)
        if left:
            os.killpg(process.pid, signal.SIGKILL)
        said.seek(0)
        return said.read(), not left


def _session(leader: int) -> dict[int, bytes]:
    """Return the processes of a session that have not ended, and their command lines."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            # After the name in brackets: state, parent, group, session.
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_bytes()
    return found


def _outputs(folder: pathlib.Path) -> dict[str, str]:
    """Return the SHA-256 of every file of every output of the pipeline, as it is on the disk."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    outputs = [folder / out["path"] for stage in stages.values() for out in stage.get("outs", [])]
    files = [file for path in outputs for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return {str(file.relative_to(folder)): storage.sha256(file) for file in files if not file.is_dir()}


if __name__ == "__main__":
    tyro.cli(main)
