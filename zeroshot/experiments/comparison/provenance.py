"""What a metrics file was really made from, by the dvc.lock files of the commit that holds it.

An experiment's params.yaml says what was asked for. Where only some stages ran, an older metrics file stands beside newer parameters; the
lock tells, since it keeps the parameters and the hashes with which every stage last ran.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from zeroshot.experiments.comparison import overrides


@dataclasses.dataclass(frozen=True)
class Origin:
    """All that went into a file.

    Attributes:
        params: key of params.yaml (a section, as a rule) -> its value, of all stages up to the one that made the file.
        code: path and MD5 of each .py file that those stages depend on, twice where two of them ran with different ones.
    """

    params: dict[str, Any]
    code: set[tuple[str, str]]


def origin(stages: Sequence[dict[str, Any]], path: str) -> Origin | None:
    """Follow `path` back through the stages.

    Args:
        stages: what dvc.lock says of each stage, its paths relative to the repository.
        path: what a stage has written.

    Returns:
        None if no stage wrote it, or if a file on the way was made anew since and the stages after it were not run.
    """
    makers = {out["path"]: stage for stage in stages for out in stage.get("outs", [])}
    hashes = {out["path"]: out.get("md5") for stage in stages for out in stage.get("outs", [])}
    found = Origin({}, set())
    pending, done = [makers[path]] if path in makers else [], []
    while pending:
        stage = pending.pop()
        if stage in done:
            continue
        done.append(stage)
        for values in stage.get("params", {}).values():
            found.params.update(values)
        for dep in stage.get("deps", []):
            if dep["path"] in hashes and hashes[dep["path"]] != dep.get("md5"):
                return None
            if dep["path"].endswith(".py"):
                found.code.add((dep["path"], dep["md5"]))
            pending += [maker for out, maker in makers.items() if pathlib.PurePath(dep["path"]).is_relative_to(out)]
    return found if done else None


def parameters(stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters of all stages together, by key, wherever they are in the pipeline."""
    return {
        key: value for stage in stages for values in stage.get("params", {}).values() for key, value in values.items()
    }


def agrees(found: dict[str, Any], params: dict[str, Any]) -> bool:
    """Return whether every parameter of `found`, by key, has the value that it has in the parameter file `params`."""
    try:
        return all(overrides.same(overrides.at(params, key), value) for key, value in found.items())
    except KeyError:
        return False
