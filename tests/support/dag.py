"""The stages of dvc.yaml and of the pipelines beside it, with templates and matrices expanded."""

import dataclasses
import itertools
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from zeroshot.experiments import schema

ROOT = pathlib.Path(__file__).parents[2]
MAIN = "dvc.yaml"
# Pipelines beside the main one. Their stages have `wdir: ..`, so all paths are relative to the repository's root.
SZN = "szn/dvc.yaml"
ZSI = "zsi/dvc.yaml"
OPTIONAL = ("whole_network/dvc.yaml", SZN, ZSI)
ALL = (MAIN, *OPTIONAL)
# Parameter files, by their paths in the repository.
PARAMS = "params.yaml"
SZN_PARAMS = "szn/params.yaml"
ZSI_PARAMS = "zsi/params.yaml"
# Pipelines with parameters of their own -> the start of the names of their stages here.
_PREFIXES = {SZN: "szn/", ZSI: "zsi/"}
# Flags whose values are no inputs or outputs.
CHOICES = {"--params-path", "--method", "--dataset", "--target", "--variant"}
# Dependencies with the checksums of the images of `data.root` that a stage reads.
CHECKSUMS = {"data/training.json", "data/images.json", "data/szn/training.json", "data/szn/images.json"}


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage that DVC runs.

    Attributes:
        name: as in dvc.lock, with the item of its matrix: `evaluate@zs3net`. Before one of SZN or ZSI is its pipeline: `szn/evaluate@szn`.
        file: the DVC file.
        desc: its description.
        cmd: its command line.
        deps: paths of its code and data.
        params: the sections that it depends on, of params.yaml as `data`, of another file as `szn/params.yaml:split`.
        outs: paths of all its outputs, including metrics and plots.
        argv: the arguments of the module's `main`; the path at its key is in the place of `@key` and `@file:key`.
    """

    name: str
    file: str
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


def stages(
    settings: dict[str, Any] | None = None,
    files: Sequence[str] = (MAIN,),
    szn: dict[str, Any] | None = None,
    zsi: dict[str, Any] | None = None,
) -> dict[str, Stage]:
    """Return the stages of DVC files by name, in order.

    Args:
        settings: the content of params.yaml, by default that of the repository.
        files: the DVC files.
        szn: the content of szn/params.yaml, by default that of the repository.
        zsi: the content of zsi/params.yaml, by default that of the repository.
    """
    given = {PARAMS: settings, SZN_PARAMS: szn, ZSI_PARAMS: zsi}
    documents = {file: document(file) if values is None else values for file, values in given.items()}
    expanded = [
        _stage(name, file, _filled(body, {**_templates(file, documents), **item}), item.get("item", {}), documents)
        for file in files
        for name, body in document(file)["stages"].items()
        for item in _items(body)
    ]
    return {stage.name: stage for stage in expanded}


def document(file: str) -> dict[str, Any]:
    """Return the content of a YAML file of the repository."""
    # The parser in C: every run of a stage in a test reads all pipelines, which takes seconds in Python.
    return yaml.load((ROOT / file).read_text(), yaml.CSafeLoader)


def sections() -> dict[str, type]:
    """Return the dataclass of each section of params.yaml."""
    return schema.SECTIONS


def _templates(file: str, documents: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the values of templates in a DVC file: its `vars`, and params.yaml in its folder."""
    values: dict[str, Any] = {}
    for entry in document(file).get("vars", []):
        path, _, section = entry.removeprefix("../").partition(":")
        values |= {section: documents[path][section]} if section else documents[path]
    beside = str(pathlib.PurePosixPath(file).with_name(PARAMS))
    return values | documents.get(beside, {})


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


def _stage(
    name: str, file: str, body: dict[str, Any], item: dict[str, Any], documents: Mapping[str, dict[str, Any]]
) -> Stage:
    written = [out for kind in ("outs", "metrics", "plots") for out in body.get(kind, [])]
    tracked = [entry if isinstance(entry, dict) else {PARAMS: [entry]} for entry in body.get("params", [])]
    full_name = "@".join([name, "-".join(item.values())]) if item else name
    return Stage(
        name=f"{_PREFIXES.get(file, '')}{full_name}",
        file=file,
        desc=body["desc"],
        cmd=body["cmd"],
        deps=tuple(body["deps"]),
        params=tuple(
            section if path == PARAMS else f"{path}:{section}"
            for entry in tracked
            for path, listed in entry.items()
            for section in listed
        ),
        outs=tuple(out if isinstance(out, str) else next(iter(out)) for out in written),
        argv=tuple(_argument(word, documents) for word in shlex.split(body["cmd"])[3:]),
    )


def _argument(word: str, documents: Mapping[str, dict[str, Any]]) -> str:
    """Return a word of a command line; `@key` and `@file:key` stand for a path in a parameter file."""
    if not word.startswith("@"):
        return word
    path, _, key = word[1:].rpartition(":")
    return _value(key, documents[path or PARAMS])
