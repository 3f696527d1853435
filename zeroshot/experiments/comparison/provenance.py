"""The parameters and the code that a metrics file was made from, according to the dvc.lock files of its commit.

params.yaml of an experiment is not enough: if only some stages ran, an older metrics file is beside newer parameters. dvc.lock contains the
parameters and hashes with which each stage last ran.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from zeroshot.experiments.comparison import overrides


@dataclasses.dataclass(frozen=True)
class Origin:
    """The parameters and code that a file depends on.

    Attributes:
        params: key of a parameter file (usually a section) -> its value, for the stage that wrote the file and all stages before it.
        code: path and MD5 of each .py file that those stages depend on; two entries if two stages ran with different versions.
    """

    params: dict[str, Any]
    code: set[tuple[str, str]]


def origin(stages: Sequence[dict[str, Any]], path: str) -> Origin | None:
    """Return the parameters and code that the file `path` was made from.

    Args:
        stages: the entries of dvc.lock; their paths are relative to the repository.
        path: the output of a stage.

    Returns:
        The origin; None if no stage wrote the file, or if one of its inputs was rewritten later and the stages after it did not run
        again.
    """
    producers = {out["path"]: stage for stage in stages for out in stage.get("outs", [])}
    hashes = {out["path"]: out.get("md5") for stage in stages for out in stage.get("outs", [])}
    result = Origin({}, set())
    pending, visited = [producers[path]] if path in producers else [], []
    while pending:
        stage = pending.pop()
        if stage in visited:
            continue
        visited.append(stage)
        result.params.update(_values(stage))
        for dep in stage.get("deps", []):
            if dep["path"] in hashes and hashes[dep["path"]] != dep.get("md5"):
                return None
            if dep["path"].endswith(".py"):
                result.code.add((dep["path"], dep["md5"]))
            pending += [
                producer for out, producer in producers.items() if pathlib.PurePath(dep["path"]).is_relative_to(out)
            ]
    return result if visited else None


def parameters(stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters of all stages, by key."""
    return {key: value for stage in stages for key, value in _values(stage).items()}


def _values(stage: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of one stage, by key."""
    return {
        overrides.key(path, name): value
        for path, values in stage.get("params", {}).items()
        for name, value in values.items()
    }


def matches(recorded: dict[str, Any], params: overrides.Files) -> bool:
    """Return whether every parameter in `recorded` (key -> value) has the same value in the parameter files `params`."""
    try:
        return all(overrides.same(overrides.at(params, key), value) for key, value in recorded.items())
    except KeyError:
        return False
