"""Paths of params.yaml that dvc.yaml puts on command lines: a shell changes none of them and runs nothing from them."""

import copy
import re
import subprocess

import pytest
import yaml

from tests.support import dag
from zeroshot.base import params
from zeroshot.experiments import schema

FILES = (dag.MAIN, *dag.OPTIONAL)
BODIES = [body for file in FILES for body in yaml.safe_load((dag.ROOT / file).read_text())["stages"].values()]
KEYS = sorted({key for body in BODIES for key in re.findall(r"\$\{(?!item\.)(.*?)\}", body["cmd"])})
DOCUMENT = yaml.safe_load((dag.ROOT / "params.yaml").read_text())


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
    assert {"data.root", "embeddings.path", "backbone.weights"} <= set(KEYS)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: re.search(r"stages\.[\w.]+", body["cmd"])[0])
def test_paths_are_in_single_quotes_and_dvc_looks_for_them_before_it_starts_a_shell(body):
    keys = re.findall(r"\$\{(?!item\.)(.*?)\}", body["cmd"])
    assert re.findall(r" '\$\{(?!item\.)([^']*?)\}'(?= |$)", body["cmd"]) == keys
    assert {f"${{{key}}}" for key in keys} <= set(body["deps"])


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "value", ["data/$(touch x).txt", "data/`touch x`", "data/'; touch x; '", 'a"b', "a\\b", "a\nb", "-rf", "--help", ""]
)
def test_path_that_a_shell_or_a_stage_would_read_otherwise_is_refused(tmp_path, key, value):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(with_value(key, value)))
    with pytest.raises(params.ParamsError) as caught:
        schema.check(tmp_path / "params.yaml")
    first, line = str(caught.value).splitlines()
    assert first == f"{tmp_path}/params.yaml: 1 error" and line.startswith(f"  {key}: ")


@pytest.mark.parametrize("value", ["my data/Wörter (1).txt", "a;b&c|d", "*?[x]{y}~!#%", "<a>b"])
def test_other_paths_reach_the_stage_unchanged(tmp_path, value):
    for key in KEYS:
        document = with_value(key, value)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
        schema.check(tmp_path / "params.yaml")
        commands = [stage.cmd for stage in dag.stages(document, FILES).values() if value in stage.deps]
        assert commands
        for command in commands:
            script = command.replace("python -m", "printf '%s\\n'", 1)
            shown = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
            assert value in shown.stdout.splitlines()
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
