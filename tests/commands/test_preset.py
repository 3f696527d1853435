"""The command `zeroshot preset`."""

import pathlib
import subprocess
import sys

import pytest

from tests.support import dag
from zeroshot.base import errors
from zeroshot.commands import preset
from zeroshot.experiments import presets


def test_the_preset_does_not_depend_on_the_present_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(dag.ROOT)
    out = tmp_path / "params.yaml"
    for name in ("voc_small", "voc_small", "toy"):
        out.write_text("mine: 1\n")
        preset.main(name, out=out)
        assert out.read_text() == presets.text(name, dag.ROOT / "presets")
        assert capsys.readouterr().out == f"{out}: preset {name}\n"
    assert out.read_text() == (dag.ROOT / "params.yaml").read_text()


def test_a_preset_of_another_pipeline_is_written_to_its_own_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "presets").symlink_to(dag.ROOT / "presets")
    (tmp_path / "szn").mkdir()
    monkeypatch.chdir(tmp_path)
    preset.main("voc_small", pipeline="szn")
    assert pathlib.Path("szn/params.yaml").read_text() == presets.text("voc_small", dag.ROOT / "presets/szn")
    assert capsys.readouterr().out == "szn/params.yaml: preset voc_small\n" and not pathlib.Path("params.yaml").exists()
    with pytest.raises(errors.UserError, match=r"^presets/szn: has no preset `voc`; choose from `toy`, `voc_small`$"):
        preset.main("voc", pipeline="szn")


def test_an_unknown_preset_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(dag.ROOT)
    with pytest.raises(errors.UserError, match="has no preset `vok`"):
        preset.main("vok", out=tmp_path / "params.yaml")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_writes_params_yaml_in_the_working_folder(tmp_path):
    (tmp_path / "presets").symlink_to(dag.ROOT / "presets")
    words = [sys.executable, "-m", "zeroshot.commands", "preset", "voc"]
    process = subprocess.run(words, cwd=tmp_path, env={"PYTHONPATH": str(dag.ROOT)}, capture_output=True, text=True)
    assert (process.stdout, process.stderr) == ("params.yaml: preset voc\n", "")
    assert pathlib.Path(tmp_path / "params.yaml").read_text() == presets.text("voc", dag.ROOT / "presets")
