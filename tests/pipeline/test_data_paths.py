"""Paths that users write into params.yaml: DVC hashes what is there, no shell reads them, and every stage refuses bad ones."""

import copy
import itertools
import pathlib
import re
import shlex
import subprocess

import pytest
import yaml

from tests.support import dag
from zeroshot.base import command_line, params
from zeroshot.experiments import schema

FILES = (dag.MAIN, *dag.OPTIONAL)
BODIES = [body for file in FILES for body in yaml.safe_load((dag.ROOT / file).read_text())["stages"].values()]
KEYS = sorted({key for body in BODIES for key in re.findall(r"@([\w.]+)", body["cmd"])})
DOCUMENT = yaml.safe_load((dag.ROOT / "params.yaml").read_text())
BAD = ["data/$(touch x).txt", "data/`touch x`", "data/'$(touch x)'b", 'a"b', "a\\b", "a\nb", "-rf", "--help", ""]


def with_value(key, value):
    """Return the content of params.yaml with another value of a dotted key."""
    document = copy.deepcopy(DOCUMENT)
    *sections, last = key.split(".")
    section = document
    for name in sections:
        section = section[name]
    assert last in section
    section[last] = value
    return document


def test_keys_are_found_in_all_files():
    assert KEYS == ["backbone.semantic.vectors", "backbone.weights", "data.root", "embeddings.path", "gmmn.graph.masks"]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: re.search(r"stages\.[\w.]+", body["cmd"])[0])
def test_no_value_of_params_yaml_is_on_a_command_line_and_each_path_is_hashed(body):
    assert all(name.startswith("item.") for name in re.findall(r"\$\{(.*?)\}", body["cmd"]))
    templates = [dep for dep in body["deps"] if "${" in dep and "${item." not in dep]
    words = shlex.split(body["cmd"])
    # The other flags hand on a name, not a file that is read.
    keys = [word[1:] for flag, word in itertools.pairwise(words) if word.startswith("@") and flag not in dag.CHOICES]
    # The checksums of the images that the stage reads are in a file of prepare_split.
    hashed = {"data.root"} if dag.CHECKSUMS & set(body["deps"]) else set()
    assert sorted(templates) == sorted(f"${{{key}}}" for key in keys if key not in hashed)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [*BAD, 3, ["data"]])
def test_path_that_a_shell_or_a_command_would_read_otherwise_is_refused(tmp_path, monkeypatch, key, value):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("params.yaml").write_text(yaml.safe_dump(with_value(key, value)))
    for check in (
        lambda: schema.check("params.yaml"),
        lambda: params.data_path("params.yaml", key),
    ):
        with pytest.raises(params.ParamsError) as caught:
            check()
        first, line = str(caught.value).splitlines()
        assert first == "params.yaml: 1 error" and line.startswith(f"  {key}: ")


def count(*, root: pathlib.Path) -> pathlib.Path:
    """Return a path.

    Args:
        root: a path.
    """
    return root


@pytest.mark.parametrize("value", ["my data/Wörter (1).txt", "a;b&c|d", "*?[x]{y}~!#%", "<a>b", "@data.root"])
def test_other_paths_reach_the_stage_unchanged(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    for key in KEYS:
        pathlib.Path("params.yaml").write_text(yaml.safe_dump(with_value(key, value), allow_unicode=True))
        schema.check("params.yaml")
        assert command_line.run(count, ["--root", f"@{key}"]) == pathlib.Path(value)


def test_a_path_at_no_key_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("params.yaml").write_text(yaml.safe_dump(DOCUMENT))
    for key in ("data.roots", "nothing", "data.root.deeper"):
        with pytest.raises(SystemExit, match=f"params.yaml: {key}: missing"):
            command_line.run(count, ["--root", f"@{key}"])


@pytest.mark.parametrize("value", BAD[:4])
def test_dvc_runs_nothing_from_a_path(tmp_path, value):
    """DVC runs the command lines of dvc.yaml in a shell, here with `echo` in the place of Python."""
    document = with_value("data.root", value)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    for stage in dag.stages(document, FILES).values():
        script = stage.cmd.replace("python -m", "echo", 1)
        subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
