"""A clone of the last commit with a small data set, for trials that disturb its stages, and what such trials ask."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
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
STAGES = (
    "make_toy",
    "prepare_split",
    "embed_classes",
    "train_backbone",
    "dump_features",
    "train_gmmn",
    "finetune_classifier",
    "self_train",
    "evaluate@zs3net",
)
_DVC = (sys.executable, "-m", "dvc")
# Seconds in which every process must end after the one that started it.
_PATIENCE = 60.0


def make(folder: pathlib.Path) -> None:
    """Clone the last commit, choose small sizes and run the whole pipeline.

    Args:
        folder: where the clone is made; it must not exist.
    """
    subprocess.run(["git", "clone", "--quiet", ".", str(folder)], check=True)
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text()), _SMALL), sort_keys=False))
    repro(folder)


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values with some of them replaced."""
    replaced = {
        key: _merged(values[key], change) if isinstance(change, dict) else change for key, change in changes.items()
    }
    return {**values, **replaced}


def forced(stage: str) -> tuple[str, ...]:
    """Return the options with which `dvc repro` runs one stage, changed or not."""
    return ("--force", "--single-item", stage)


def repro(folder: pathlib.Path, *words: str) -> None:
    """Run `dvc repro` with further words; it must succeed."""
    dvc(folder, "repro", "--quiet", *words)


def dvc(folder: pathlib.Path, *words: str) -> None:
    """Run a command of DVC; it must succeed."""
    subprocess.run([*_DVC, *words], cwd=folder, check=True)


def locked_stages(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Return the entries of dvc.lock: command, dependencies and outputs of each stage that ran."""
    return yaml.safe_load((folder / "dvc.lock").read_text())["stages"]


def outputs(folder: pathlib.Path) -> dict[str, str]:
    """Return the SHA-256 of every file of every output of the pipeline, as it is on the disk."""
    paths = [folder / out["path"] for stage in locked_stages(folder).values() for out in stage.get("outs", [])]
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return {str(file.relative_to(folder)): storage.sha256(file) for file in files if not file.is_dir()}


@dataclasses.dataclass(frozen=True)
class End:
    """How a command ended.

    Attributes:
        status: its exit status, as subprocess gives it.
        text: what it printed on standard error.
        in_time: whether all processes of its session ended within a minute after it.
    """

    status: int
    text: str
    in_time: bool


class Session:
    """A command that runs in a session of its own."""

    def __init__(self, folder: pathlib.Path, command: Sequence[str]) -> None:
        """Start a command in a folder."""
        self._text = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `end`)
        self._process = subprocess.Popen(
            command, cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=self._text
        )

    @classmethod
    def repro(cls, folder: pathlib.Path, *words: str) -> "Session":
        """Start `dvc repro` with further words. It is not quiet, because DVC would not print its own errors then."""
        return cls(folder, [*_DVC, "repro", *words])

    def runs_after(self, seconds: float) -> bool:
        """Wait some seconds, or until the command ends; return whether it still runs."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def send(self, what: signal.Signals, whom: str) -> None:
        """Send a signal to the "stage" that DVC runs, to "DVC", or to the whole "group" of processes."""
        stages = [pid for pid, line in self._processes().items() if b"stages." in line and b"dvc" not in line]
        # Between two stages there is none.
        if whom == "stage" and stages:
            os.kill(min(stages), what)
        elif whom == "DVC":
            self._process.send_signal(what)
        else:
            os.killpg(self._process.pid, what)

    def end(self) -> End:
        """Wait for the end of the command and then of its session; kill what is left of that after a minute."""
        try:
            status = self._process.wait()
        except KeyboardInterrupt:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise
        deadline = time.monotonic() + _PATIENCE
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        if left:
            os.killpg(self._process.pid, signal.SIGKILL)
        with self._text:
            self._text.seek(0)
            return End(status, self._text.read(), not left)

    def _processes(self) -> dict[int, bytes]:
        """Return the processes of the session that have not ended, and their command lines."""
        found = {}
        for folder in pathlib.Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with contextlib.suppress(OSError):
                # After the name in brackets: state, parent, group, session.
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self._process.pid and state != "Z":
                    found[int(folder.name)] = (folder / "cmdline").read_bytes()
        return found


def print_sums(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Print a table with the sums of equally named rows, in the order of their first, and one of all together.

    Args:
        rows: one for each trial; columns with numbers, and columns with names.
        names: the columns with names.
    """
    columns = list(names)
    table = pd.DataFrame(rows).groupby(columns, sort=False).sum().reset_index()
    together = {**dict.fromkeys(columns, ""), columns[0]: "together", **table.drop(columns=columns).sum()}
    table.loc[len(table)] = together
    print(table.to_markdown(index=False))
