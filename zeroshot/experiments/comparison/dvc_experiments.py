"""DVC's own record of the experiments of a repository: what was queued, what ran, with which parameters and figures."""

import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
from typing import Any, cast

import dvc.dependency.param
import dvc.repo
import dvc.repo.experiments.utils
import dvc.repo.graph
import yaml

from zeroshot.base import errors


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        name: as DVC shows it.
        rev: its commit.
        baseline: the commit that it started from.
        made: when, in ISO 8601; orders experiments.
        state: `done`, `waiting` (queued or running) or `failed`.
        metrics: path -> content of each metrics file.
        stages: what all its dvc.lock files say of each stage; empty unless it is done.
    """

    name: str
    rev: str
    baseline: str
    made: str
    state: str
    metrics: dict[str, Any]
    stages: list[dict[str, Any]]


_STATES = {"queued": "waiting", "running": "waiting", "failed": "failed"}


def read(root: str | pathlib.Path) -> list[Experiment]:
    """Return the experiments of all commits of the DVC repository at `root`, the oldest first.

    Raises:
        errors.UserError: if DVC cannot list them; with what DVC says.
    """
    found = []
    # Of the commits that have any: DVC takes a minute to look through a hundred.
    flags = [word for rev in _baselines(root) for word in ("--rev", rev)]
    if not flags:
        return []
    for commit in json.loads(_output(root, sys.executable, "-m", "dvc", "exp", "show", "--json", *flags)):
        for entry in commit["experiments"] or []:
            data = entry["revs"][0]["data"]
            if data is not None:
                found.append(_experiment(root, commit["rev"], entry, data))
    return sorted(found, key=lambda experiment: experiment.made)


def _baselines(root: str | pathlib.Path) -> list[str]:
    """Return the commits that experiments started from: those that ran, that wait or run in the queue, and that failed there."""
    with dvc.repo.Repo(str(root)) as repo:
        queue = repo.experiments.celery_queue
        entries = [*queue.iter_queued(), *queue.iter_active(), *(failed.entry for failed in queue.iter_failed())]
        ran = {ref.baseline_sha for ref in dvc.repo.experiments.utils.exp_refs(cast(Any, repo.scm))}
    return sorted(ran | {entry.baseline_rev for entry in entries})


def _experiment(root: str | pathlib.Path, baseline: str, entry: dict[str, Any], data: dict[str, Any]) -> Experiment:
    state = _STATES.get(str((entry["executor"] or {}).get("state")), "done")
    return Experiment(
        name=entry["name"] or data["rev"][:7],
        rev=data["rev"],
        baseline=baseline,
        made=data["timestamp"] or "",
        state=state,
        metrics={path: content["data"] for path, content in data["metrics"].items() if "data" in content},
        stages=_stages(str(root), data["rev"]) if state == "done" else [],
    )


@functools.cache
def _stages(root: str, rev: str) -> list[dict[str, Any]]:
    files = _output(root, "git", "ls-tree", "-r", "--name-only", rev).splitlines()
    locks = [path for path in files if pathlib.PurePosixPath(path).name == "dvc.lock"]
    contents = [yaml.safe_load(_output(root, "git", "show", f"{rev}:{path}")) or {} for path in locks]
    return [stage for content in contents for stage in content.get("stages", {}).values()]


def metric_parameters(root: pathlib.Path) -> dict[str, frozenset[str]]:
    """Return for every metrics file of the repository at `root` the keys of params.yaml (sections, as a rule) that it depends on.

    With params.yaml as it is: where the path of a dependency is a parameter (`backbone.semantic.vectors`), another value may add to it.
    """
    with dvc.repo.Repo(str(root)) as repo:
        graph = repo.index.graph
        return {
            out.def_path: frozenset(
                key
                for stage in dvc.repo.graph.get_subgraph_of_nodes(graph, [out.stage])
                for dep in stage.deps
                if isinstance(dep, dvc.dependency.param.ParamsDependency)
                for key in dep.params
            )
            for out in repo.index.metrics
        }


def commit(root: str | pathlib.Path) -> str:
    """Return the short name of the commit that is checked out, with a `+` if tracked files differ from it."""
    return _output(root, "git", "rev-parse", "--short", "HEAD").strip() + ("+" if workspace_differs(root) else "")


def workspace_differs(root: str | pathlib.Path) -> bool:
    """Return whether a file that Git tracks is other than in the commit that is checked out."""
    return bool(_output(root, "git", "status", "--porcelain", "--untracked-files=no").strip())


def _output(root: str | pathlib.Path, *command: str) -> str:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise errors.UserError(f"{root}: `{' '.join(command[-4:])}` failed: {done.stderr.strip()}")
    return done.stdout
