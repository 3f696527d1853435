"""Paths that users write into params.yaml: DVC hashes what is there, no shell reads them, and every stage refuses bad ones."""

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

BODIES = [body for file in dag.ALL for body in dag.document(file)["stages"].values()]
# As on the command line: `data.root`, or `szn/params.yaml:network.weights`.
KEYS = sorted({key for body in BODIES for key in re.findall(r"@([\w./:]+)", body["cmd"])})
BAD = ["data/$(touch x).txt", "data/`touch x`", "data/'$(touch x)'b", 'a"b', "a\\b", "a\nb", "-rf", "--help", ""]


def documents(word=None, value=None):
    """Return the content of each parameter file by its path, with another value at the key that a command line names by `word`."""
    contents = {path: dag.document(path) for path in (dag.PARAMS, dag.SZN_PARAMS, dag.ZSI_PARAMS)}
    if word:
        path, _, key = word.rpartition(":")
        *sections, last = key.split(".")
        section = contents[path or dag.PARAMS]
        for name in sections:
            section = section[name]
        assert last in section
        section[last] = value
    return contents


def write(contents):
    """Write parameter files to the current folder."""
    for path, content in contents.items():
        pathlib.Path(path).parent.mkdir(exist_ok=True)
        pathlib.Path(path).write_text(yaml.safe_dump(content, allow_unicode=True))


def check(path):
    """Check all sections of a parameter file."""
    if path == dag.PARAMS:
        schema.check(path)
    elif path == dag.SZN_PARAMS:
        schema.check_szn(path, dag.PARAMS)
    else:
        schema.check_zsi(path)


def test_keys_are_found_in_all_files():
    main = ["backbone.semantic.vectors", "backbone.weights", "data.root", "embeddings.path", "gmmn.graph.masks"]
    szn = ["szn/params.yaml:embeddings.path", "szn/params.yaml:network.weights"]
    zsi = ["data.annotations", "data.train_images", "data.val_images", "detector.weights", "embeddings.path"]
    zsi.append("gmmn.graph.masks")
    assert [*main, *szn, *(f"zsi/params.yaml:{key}" for key in zsi)] == KEYS


@pytest.mark.parametrize("body", BODIES, ids=lambda body: re.search(r"stages\.[\w.]+", body["cmd"])[0])
def test_no_value_of_params_yaml_is_on_a_command_line_and_each_path_is_hashed(body):
    assert all(name.startswith("item.") for name in re.findall(r"\$\{(.*?)\}", body["cmd"]))
    templates = [dep for dep in body["deps"] if "${" in dep and "${item." not in dep]
    words = shlex.split(body["cmd"])
    # The other flags hand on a name, not a file that is read.
    keys = [word[1:] for flag, word in itertools.pairwise(words) if word.startswith("@") and flag not in dag.CHOICES]
    # Templates have the keys of szn/params.yaml without its name, since it is beside the DVC file; and so with ZSI.
    keys = [key.removeprefix(f"{dag.SZN_PARAMS}:").removeprefix(f"{dag.ZSI_PARAMS}:") for key in keys]
    # The checksums of the images that the stage reads are in a file of prepare_split.
    hashed = {"data.root"} if dag.CHECKSUMS & set(body["deps"]) else set()
    assert sorted(templates) == sorted(f"${{{key}}}" for key in keys if key not in hashed)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [*BAD, 3, ["data"]])
def test_path_that_a_shell_or_a_command_would_read_otherwise_is_refused(tmp_path, monkeypatch, key, value):
    monkeypatch.chdir(tmp_path)
    write(documents(key, value))
    path, _, short = key.rpartition(":")
    path = path or dag.PARAMS
    for refusing in (lambda: check(path), lambda: params.data_path(path, short)):
        with pytest.raises(params.ParamsError) as caught:
            refusing()
        first, line = str(caught.value).splitlines()
        assert first == f"{path}: 1 error" and line.startswith(f"  {short}: ")


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
        write(documents(key, value))
        check(key.rpartition(":")[0] or dag.PARAMS)
        assert command_line.run(count, ["--root", f"@{key}"]) == pathlib.Path(value)


def test_a_path_at_no_key_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(documents())
    for word, text in (
        ("@data.roots", "params.yaml: data.roots: missing"),
        ("@nothing", "params.yaml: nothing: missing"),
        ("@data.root.deeper", "params.yaml: data.root.deeper: missing"),
        ("@szn/params.yaml:data.root", "szn/params.yaml: data.root: missing"),
        ("@whole/params.yaml:data.root", "whole/params.yaml: cannot be read as YAML"),
    ):
        with pytest.raises(SystemExit, match=f"^{text}"):
            command_line.run(count, ["--root", word])


@pytest.mark.parametrize("value", BAD[:4])
def test_dvc_runs_nothing_from_a_path(tmp_path, value):
    """DVC runs the command lines of dvc.yaml in a shell, here with `echo` in the place of Python."""
    contents = documents("data.root", value)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(contents[dag.PARAMS]))
    for stage in dag.stages(contents[dag.PARAMS], dag.ALL).values():
        script = stage.cmd.replace("python -m", "echo", 1)
        subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
