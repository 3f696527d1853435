"""The experiments of a DVC repository: their states, parameters and metrics."""

import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
from typing import IO, Any, cast

import dvc.dependency.param
import dvc.repo
import dvc.repo.experiments.utils
import dvc.repo.graph
import yaml

from zeroshot.base import errors
from zeroshot.experiments.comparison import model_files, overrides


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        name: the name in `dvc exp show`.
        rev: its commit.
        baseline: the commit that it started from.
        created: time of creation in ISO 8601; experiments are sorted by it.
        state: `done`, `waiting` (queued or running) or `failed`.
        metrics: path -> content of the metrics file of each model; empty unless the state is `done`.
        stages: the entries of all its dvc.lock files; empty unless the state is `done`.
    """

    name: str
    rev: str
    baseline: str
    created: str
    state: str
    metrics: dict[str, Any]
    stages: list[dict[str, Any]]


# The name and rev of the results in the folder itself, which belong to no commit.
WORKSPACE = "workspace"
_STATES = {"queued": "waiting", "running": "waiting", "failed": "failed"}


def read(root: str | pathlib.Path) -> list[Experiment]:
    """Return the experiments of all commits of the DVC repository at `root`, the oldest first.

    Raises:
        errors.UserError: if DVC cannot list them; with the message of DVC.
    """
    experiments = []
    # Only commits with experiments are listed, because DVC needs a minute for a hundred commits.
    flags = [word for rev in _baselines(root) for word in ("--rev", rev)]
    if not flags:
        return []
    for commit in json.loads(_output(root, sys.executable, "-m", "dvc", "exp", "show", "--json", *flags)):
        for entry in commit["experiments"] or []:
            data = entry["revs"][0]["data"]
            if data is not None:
                experiments.append(_experiment(root, commit["rev"], entry, data))
    return sorted(experiments, key=lambda experiment: experiment.created)


def _baselines(root: str | pathlib.Path) -> list[str]:
    """Return the commits that finished, queued, running and failed experiments started from."""
    with dvc.repo.Repo(str(root)) as repo:
        queue = repo.experiments.celery_queue
        entries = [*queue.iter_queued(), *queue.iter_active(), *(failed.entry for failed in queue.iter_failed())]
        finished = {ref.baseline_sha for ref in dvc.repo.experiments.utils.exp_refs(cast(Any, repo.scm))}
    return sorted(finished | {entry.baseline_rev for entry in entries})


def _experiment(root: str | pathlib.Path, baseline: str, entry: dict[str, Any], data: dict[str, Any]) -> Experiment:
    state = _STATES.get(str((entry["executor"] or {}).get("state")), "done")
    return Experiment(
        name=entry["name"] or data["rev"][:7],
        rev=data["rev"],
        baseline=baseline,
        created=data["timestamp"] or "",
        state=state,
        metrics=_metrics(root, data["rev"]) if state == "done" else {},
        stages=_stages(str(root), data["rev"]) if state == "done" else [],
    )


def workspace(root: pathlib.Path) -> Experiment | None:
    """Return the results in the folder itself, as of a plain `dvc repro`; None if it has none.

    Metrics that have changed since their stage wrote them are left out.
    """
    locks = [path for path in (root / "dvc.lock", *root.glob("*/dvc.lock")) if path.exists()]
    stages = _stages_of([path.read_text(encoding="utf-8") for path in locks])
    recorded = {out["path"]: out.get("md5") for stage in stages for out in stage.get("outs", [])}
    contents = {
        path: (root / path).read_bytes() for path in recorded if model_files.is_metrics(path) and (root / path).exists()
    }
    metrics = {
        path: json.loads(content)
        for path, content in contents.items()
        if hashlib.md5(content).hexdigest() == recorded[path]
    }
    if not metrics:
        return None
    baseline = _output(root, "git", "rev-parse", "HEAD").strip()
    return Experiment(WORKSPACE, WORKSPACE, baseline, "", "done", metrics, stages)


def _metrics(root: str | pathlib.Path, rev: str) -> dict[str, Any]:
    """Return the content of the metrics files of a commit by path. They are plain files of Git: DVC's metrics are only their summary."""
    paths = [path for path in _files(str(root), rev) if model_files.is_metrics(path)]
    if not paths:
        return {}
    words = ["git", "archive", "--format=tar", rev, "--", *paths]
    archive = subprocess.run(words, cwd=root, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        return {path: json.load(cast(IO[bytes], files.extractfile(path))) for path in paths}


@functools.cache
def _files(root: str, rev: str) -> list[str]:
    return _output(root, "git", "ls-tree", "-r", "--name-only", rev).splitlines()


@functools.cache
def _stages(root: str, rev: str) -> list[dict[str, Any]]:
    locks = [path for path in _files(root, rev) if pathlib.PurePosixPath(path).name == "dvc.lock"]
    return _stages_of([_output(root, "git", "show", f"{rev}:{path}") for path in locks])


def _stages_of(locks: list[str]) -> list[dict[str, Any]]:
    """Return the entries of lock files, given as text."""
    return [stage for text in locks for stage in (yaml.safe_load(text) or {}).get("stages", {}).values()]


def metric_parameters(root: pathlib.Path) -> dict[str, frozenset[str]]:
    """Return, for every metrics file of the repository at `root`, the keys of parameter files (usually sections) that it depends on.

    The result is valid for the present parameter files: the path of a dependency may be a parameter (`backbone.semantic.vectors`), and
    another value of it may add dependencies.
    """
    with dvc.repo.Repo(str(root)) as repo:
        graph = repo.index.graph
        return {
            out.def_path: frozenset(
                overrides.key(os.path.relpath(dep.fs_path, repo.root_dir), name)
                for stage in dvc.repo.graph.get_subgraph_of_nodes(graph, [out.stage])
                for dep in stage.deps
                if isinstance(dep, dvc.dependency.param.ParamsDependency)
                for name in dep.params
            )
            for out in repo.index.outs
            if model_files.is_metrics(out.def_path)
        }


def commit(root: str | pathlib.Path) -> str:
    """Return the short hash of the current commit, with a `+` if tracked files differ from it."""
    return _output(root, "git", "rev-parse", "--short", "HEAD").strip() + ("+" if workspace_differs(root) else "")


def workspace_differs(root: str | pathlib.Path) -> bool:
    """Return whether a tracked file differs from the current commit."""
    return bool(_output(root, "git", "status", "--porcelain", "--untracked-files=no").strip())


def _output(root: str | pathlib.Path, *command: str) -> str:
    process = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if process.returncode:
        raise errors.UserError(f"{root}: `{' '.join(command[-4:])}` failed: {process.stderr.strip()}")
    return process.stdout
