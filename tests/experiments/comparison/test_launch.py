"""Runs in the workspace change the parameter files only while they last."""

import pytest

from zeroshot.base import errors
from zeroshot.experiments.comparison import launch, run_list


@pytest.mark.parametrize("fails", [False, True])
def test_parameter_files_have_their_own_bytes_after_a_run_in_the_workspace(tmp_path, monkeypatch, fails):
    path = tmp_path / "params.yaml"
    original = "# Bäume.\r\ngmmn: {lr: 0.1}\r\n".encode()
    path.write_bytes(original)
    other = tmp_path / "szn/params.yaml"
    other.parent.mkdir()
    other.write_text("network: {lr: 1}\n")

    def execute(root, words):
        assert words[:3] == ["dvc", "exp", "run"]
        assert words[5:] == ["-S", "gmmn.lr=0.2", "-S", "szn/params.yaml:network.lr=2"]
        path.write_text("gmmn: {lr: 0.2}\n")
        other.write_text("network: {lr: 2}\n")
        if fails:
            raise errors.UserError("failed")

    monkeypatch.setattr(launch, "_execute", execute)
    run = run_list.Run(
        "a-run", {"params.yaml": {"gmmn": {"lr": 0.2}}, "szn/params.yaml": {"network": {"lr": 2}}}, None, ()
    )
    try:
        launch.run_here(tmp_path, run)
    except errors.UserError:
        assert fails
    assert path.read_bytes() == original and other.read_text() == "network: {lr: 1}\n"
