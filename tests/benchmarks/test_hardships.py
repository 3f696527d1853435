import os
import pathlib
import signal
import subprocess
import sys
import types

import pytest
import yaml

from benchmarks import hardships, small_pipeline, trial_workspace
from tests.support import dag
from tests.support import small_disk as disks

small_disk = disks.small_disk

STAGE = '''
import os, pathlib, time
from zeroshot.base import command_line, storage

def main(*, in_path: pathlib.Path, out_path: pathlib.Path) -> None:
    """Write a file.

    Args:
        in_path: a file.
        out_path: out: another one.
    """
    time.sleep(float(os.environ.get("STAGE_SECONDS", "1")))
    with storage.writing(out_path) as file:
        file.write(in_path.read_bytes() * 2)

if __name__ == "__main__":
    command_line.run(main)
'''


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A finished pipeline of two stages, each a second long."""
    folder = tmp_path / "clone"
    for name in (".dvc", "stages", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "stages/__init__.py").touch()
    (folder / "stages/double.py").write_text(STAGE)
    (folder / "params.yaml").write_text("runtime: {scratch: work}\n")
    (folder / "data/raw").write_bytes(bytes(range(256)) * 100)
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")

    def stage(source: str, target: str) -> dict[str, object]:
        command = f"python -m stages.double --in-path {source} --out-path {target}"
        return {"cmd": command, "deps": [source], "outs": [target]}

    stages = {"first": stage("data/raw", "data/twice"), "second": stage("data/twice", "models/four")}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    monkeypatch.setenv("PYTHONPATH", str(dag.ROOT))
    monkeypatch.setenv("PATH", str(pathlib.Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    small_pipeline.repro(folder)
    return trial_workspace.Workspace(folder)


def test_trials_see_clear_messages_and_the_same_result(workspace, small_disk, monkeypatch):
    """The disk is asked for because it skips the test where nothing can be mounted."""
    at_once = types.SimpleNamespace(uniform=lambda low, high: low, choice=lambda items: items[0])
    kinds = {
        (kind.name, kind.place): kind for kind in hardships.hardships(workspace, ["first", "second"]) if kind.stages
    }
    assert kinds["full disk", "data"].stages == ["first"] and kinds["read-only", "models"].stages == ["second"]
    assert ("full disk", "features") not in kinds and kinds["deleted", "an input"].stages == ["second"]
    for key in (("full disk", "data"), ("read-only", "models"), ("two runs", "command")):
        if key[0] == "two runs":
            # Far longer than one of the two can be late on a busy machine.
            monkeypatch.setenv("STAGE_SECONDS", "8")
        row = hardships.trial(workspace, kinds[key], at_once)
        assert row == {
            "hardship": key[0],
            "place": key[1],
            "tried": 1,
            "clear": 1,
            "right": 0,
            "same bytes": 1,
            "no traceback": 1,
            "nothing left": 1,
            "fault of DVC": 0,
        }, key
    mounts = pathlib.Path("/proc/mounts").read_text()
    assert str(workspace.folder) not in mounts
    (workspace.folder / "data/.twice.1.tmp").touch()
    (workspace.folder / "work/locks/new.lock").touch()
    assert [file.name for file in workspace.leftovers()] == [".twice.1.tmp"]


NAMED = "models/a.pt: cannot be written, because the disk is full"
DVC = "ERROR: unexpected error - [Errno 28] No space left on device"


@pytest.mark.parametrize(
    ("texts", "clear"),
    [
        ([NAMED], True),
        ([f"1/3\r{NAMED}\nERROR: failed to reproduce 'a'"], True),
        ([DVC], True),
        (["the disk is full: [Errno 28] No space left on device; make room"], False),
        (["models/a.pt: is damaged"], False),
        ([f"{NAMED}\nmodels/b.pt: the disk is full"], False),
        ([f"Traceback (most recent call last):\n{NAMED}"], False),
        ([None], False),
        ([NAMED, None], True),
        ([NAMED, NAMED], False),
    ],
)
def test_a_clear_message_is_one_with_place_and_cause(texts, clear):
    """None: the run succeeded. Of two runs at once, one must succeed."""
    ends = [small_pipeline.End(0 if text is None else 1, text or "", True) for text in texts]
    runs = hardships.Runs(ends, ["disk is full", "No space left on device"], ["models/"])
    assert runs.are_clear is clear
    assert runs.are_right is (texts == [None])


def test_a_session_has_the_processes_that_its_command_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(small_pipeline, "_PATIENCE", 0.5)
    session = small_pipeline.Session(tmp_path, ["sh", "-c", "sleep 60 & echo text >&2; exit 3"])
    assert session.end() == small_pipeline.End(3, "text\n", False)
    session = small_pipeline.Session(tmp_path, ["sleep", "60"])
    assert session.runs_after(0.1)
    session.send(signal.SIGTERM, "group")
    assert session.end() == small_pipeline.End(-signal.SIGTERM, "", True)
    assert not subprocess.run(["pgrep", "-s", str(session._process.pid)], capture_output=True).stdout


def test_rows_of_one_name_are_added(capsys):
    rows = [
        {"kind": "b", "place": "x", "n": 1},
        {"kind": "a", "place": "y", "n": 1},
        {"kind": "b", "place": "x", "n": 0},
    ]
    small_pipeline.print_sums(rows, ["kind", "place"])
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert table[0] == ["kind", "place", "n"]
    assert table[2:] == [["b", "x", "1"], ["a", "y", "1"], ["together", "", "2"]]
