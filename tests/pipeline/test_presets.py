"""params.yaml and the ready settings in presets/: complete, strictly valid and with a comment at every key."""

import dataclasses
import pathlib
import re
import typing

import pytest
import yaml

from tests.support import dag
from zeroshot.base import params

PRESETS = sorted((dag.ROOT / "presets").glob("*.yaml"))
files = pytest.mark.parametrize("path", [dag.ROOT / "params.yaml", *PRESETS], ids=lambda path: path.stem)
_KEY = re.compile(r"( *)([A-Za-z_]\w*):(?: |$)")


def keys(cls: type, prefix: str) -> list[str]:
    """Return the keys of a section in the order of its fields, those of nested sections among them."""
    found = []
    for name, kind in typing.get_type_hints(cls).items():
        found.append(f"{prefix}.{name}")
        if dataclasses.is_dataclass(kind):
            found += keys(kind, f"{prefix}.{name}")
    return found


def uncommented(text: str, known: set[str]) -> tuple[list[str], list[str]]:
    """Return all keys of a YAML text that are in `known`, in order, and those without a comment in the line above."""
    found, bare = [], []
    above, parents = "", []
    for line in text.splitlines():
        if match := _KEY.match(line):
            parents = [(indent, name) for indent, name in parents if indent < len(match[1])]
            parents.append((len(match[1]), match[2]))
            key = ".".join(name for _, name in parents)
            if key in known:
                found.append(key)
                if not re.match(rf"{match[1]}# \S", above):
                    bare.append(key)
        above = line
    return found, bare


def test_the_promised_presets_are_there():
    assert {"voc", "voc_small", "context"} <= {path.stem for path in PRESETS}


@files
def test_every_section_loads_strictly(path):
    assert sorted(yaml.safe_load(path.read_text())) == sorted(dag.sections())
    for name, cls in dag.sections().items():
        assert isinstance(params.load(path, name, cls), cls)


@files
def test_every_key_has_a_comment_above_it(path):
    expected = [key for name, cls in dag.sections().items() for key in (name, *keys(cls, name))]
    found, bare = uncommented(path.read_text(), set(expected))
    assert sorted(found) == sorted(expected)
    assert bare == []


def test_a_key_without_a_comment_would_be_found():
    text = "# Of the toy.\ntoy:\n  # Of all.\n  seed: 0\n  n_val: 3\n# Not indented.\n  n_train: 4\n"
    expected = ["toy", "toy.seed", "toy.n_val", "toy.n_train"]
    assert uncommented(text, set(expected)) == (expected, ["toy.n_val", "toy.n_train"])


@files
def test_paths_that_dvc_yaml_hands_to_stages_are_relative(path):
    settings = yaml.safe_load(path.read_text())
    given = [settings["data"]["root"], settings["embeddings"]["path"], settings["backbone"]["weights_file"]]
    assert not [text for text in given if pathlib.PurePosixPath(text).is_absolute()]
