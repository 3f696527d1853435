"""The stages of dvc.yaml, with templates and matrices expanded."""

import dataclasses
import itertools
import pathlib
import re
import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from zeroshot.experiments import schema

ROOT = pathlib.Path(__file__).parents[2]
MAIN = "dvc.yaml"
# Pipelines beside the main one. Their stages have `wdir: ..`, so all paths are relative to the repository's root.
OPTIONAL = ("whole_network/dvc.yaml",)
# Flags whose values are not paths.
CHOICES = {"--method", "--dataset", "--target"}
# Dependencies with the checksums of the images of `data.root` that a stage reads.
CHECKSUMS = {"data/training.json", "data/images.json"}


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage that DVC runs.

    Attributes:
        name: as in dvc.lock, with the item of its matrix: `evaluate@zs3net`.
        desc: its description.
        cmd: its command line.
        deps: paths of its code and data.
        params: the sections of params.yaml that it depends on.
        outs: paths of all its outputs, including metrics and plots.
        argv: the arguments of the module's `main`; the path at its key of params.yaml is in the place of `@key`.
    """

    name: str
    desc: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]
    argv: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """The command line as a shell splits it."""
        return shlex.split(self.cmd)

    @property
    def module(self) -> str:
        """The module that the command runs, as in `stages.evaluate`."""
        return self.words[2]

    @property
    def paths(self) -> list[str]:
        """The values of all flags but `CHOICES`, each once; a flag may have several."""
        values: dict[str, list[str]] = {}
        for word in self.argv:
            if word.startswith("--"):
                values[word] = []
            else:
                values[list(values)[-1]].append(word)
        paths = [value for flag, flag_values in values.items() if flag not in CHOICES for value in flag_values]
        return list(dict.fromkeys(paths))

    @property
    def listed(self) -> list[str]:
        """The dependencies that have the checksums of images; if there is one, the stage does not depend on `data.root`."""
        return [path for path in self.deps if path in CHECKSUMS]

    @property
    def code(self) -> list[str]:
        """The dependencies that are files or folders of this repository's code."""
        return [path for path in self.deps if path.startswith(("stages/", "zeroshot/"))]

    @property
    def data(self) -> list[str]:
        """The other dependencies."""
        return [path for path in self.deps if path not in self.code]


def stages(settings: dict[str, Any] | None = None, files: Sequence[str] = (MAIN,)) -> dict[str, Stage]:
    """Return the stages of DVC files by name, in order; `settings` is the content of params.yaml, by default that of the repository."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text()) if settings is None else settings
    expanded = [
        _stage(name, _filled(body, {**values, **item}), item.get("item", {}), values)
        for file in files
        for name, body in yaml.safe_load((ROOT / file).read_text())["stages"].items()
        for item in _items(body)
    ]
    return {stage.name: stage for stage in expanded}


def sections() -> dict[str, type]:
    """Return the dataclass of each section of params.yaml."""
    return schema.SECTIONS


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    if "matrix" not in body:
        return [{}]
    axes = body["matrix"]
    return [{"item": dict(zip(axes, values, strict=True))} for values in itertools.product(*axes.values())]


def _filled(node: Any, values: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        return {_filled(key, values): _filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    return re.sub(r"\$\{([\w.]+)\}", lambda match: _value(match[1], values), node) if isinstance(node, str) else node


def _value(key: str, values: Any) -> str:
    for part in key.split("."):
        values = values[part]
    return str(values)


def _stage(name: str, body: dict[str, Any], item: dict[str, Any], settings: dict[str, Any]) -> Stage:
    written = [out for kind in ("outs", "metrics", "plots") for out in body.get(kind, [])]
    return Stage(
        name="@".join([name, "-".join(item.values())]) if item else name,
        desc=body["desc"],
        cmd=body["cmd"],
        deps=tuple(body["deps"]),
        params=tuple(body.get("params", [])),
        outs=tuple(out if isinstance(out, str) else next(iter(out)) for out in written),
        argv=tuple(
            _value(word[1:], settings) if word.startswith("@") else word for word in shlex.split(body["cmd"])[3:]
        ),
    )
