"""Runs in the workspace change params.yaml only while they last."""

import pytest

from zeroshot.base import errors
from zeroshot.experiments.comparison import launch, run_list


@pytest.mark.parametrize("fails", [False, True])
def test_params_yaml_has_its_own_bytes_after_a_run_in_the_workspace(tmp_path, monkeypatch, fails):
    path = tmp_path / "params.yaml"
    original = "# Bäume.\r\ngmmn: {lr: 0.1}\r\n".encode()
    path.write_bytes(original)

    def execute(root, words):
        assert words[:3] == ["dvc", "exp", "run"] and "gmmn.lr=0.2" in words
        path.write_text("gmmn: {lr: 0.2}\n")
        if fails:
            raise errors.UserError("failed")

    monkeypatch.setattr(launch, "_execute", execute)
    run = run_list.Run("a-run", {"gmmn": {"lr": 0.2}}, None, ())
    try:
        launch.run_here(tmp_path, run)
    except errors.UserError:
        assert fails
    assert path.read_bytes() == original
