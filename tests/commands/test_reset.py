"""`zeroshot reset` in a small DVC repository, after runs that ended and one that was killed."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from dulwich import index, repo
from dvc import cli as dvc_cli

from zeroshot.commands import __main__ as commands
from zeroshot.experiments import going_back

_SCRIPT = """
import pathlib, sys, time, yaml
settings = yaml.safe_load(open("params.yaml"))
value = settings["train"]["value"]
if sys.argv[1] == "train":
    pathlib.Path("model.bin").write_text(f"{value}")
    pathlib.Path("metrics/curve.csv").write_text(f"epoch,loss\\n1,{value}\\n")
else:
    pathlib.Path("started").touch()
    time.sleep(settings["score"]["seconds"])
    pathlib.Path("metrics/model.json").write_text(f"{value}\\n")
"""
_STAGES = {
    "train": {
        "cmd": f"{sys.executable} script.py train",
        "params": ["train"],
        "outs": ["model.bin"],
        "plots": [{"metrics/curve.csv": {"cache": False}}],
    },
    "score": {
        "cmd": f"{sys.executable} script.py score",
        "deps": ["model.bin"],
        "params": ["score"],
        "outs": [{"metrics/model.json": {"cache": False}}],
    },
}
# Files of one size, so that Git cannot tell them apart by it.
FILES = ("params.yaml", "dvc.lock", "metrics/curve.csv", "metrics/model.json", "model.bin")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with the committed results of a run, which is the current folder."""
    root = tmp_path / "repository"
    (root / "metrics").mkdir(parents=True)
    (root / "metrics" / ".gitignore").touch()
    (root / "script.py").write_text(_SCRIPT)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": _STAGES}))
    (root / "params.yaml").write_text("train:\n  value: 1\nscore:\n  seconds: 0\n")
    (root / ".gitignore").write_text("/started\n")
    for name in [name for name in os.environ if name.startswith(("DVC_", "GIT_"))]:
        monkeypatch.delenv(name)
    for role in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.setenv(f"GIT_{role}_{part}", "test@example.org")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.chdir(root)
    git("init", "-q")
    assert dvc_cli.main(["init", "-q"]) == 0
    (root / ".dvc/config").write_text("[core]\n    autostage = true\n    analytics = false\n")
    assert dvc_cli.main(["repro", "-q"]) == 0
    git("add", "--all")
    git("commit", "-q", "-m", "first")
    return root


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


def contents(root: pathlib.Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in FILES}


def run_and_kill(*flags: str) -> None:
    """Start an experiment and kill it and its stage while `score` runs."""
    pathlib.Path("started").unlink(missing_ok=True)
    words = [sys.executable, "-m", "dvc", "exp", "run", "-q", *flags, "-S", "score.seconds=300"]
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not pathlib.Path("started").exists():
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def make_git_take_for_unchanged(path: str) -> None:
    """Write into Git's index that the committed content has the present times and size of a file."""
    with repo.Repo(".") as opened:
        entries = opened.open_index()
        entry = entries[path.encode()]
        assert isinstance(entry, index.IndexEntry)
        committed = git("rev-parse", f"HEAD:{path}").strip().encode()
        entries[path.encode()] = index.index_entry_from_stat(os.lstat(path), committed)
        # An index older than the file would make Git read the file.
        entries.write()
    os.utime(".git/index", (time.time() + 10, time.time() + 10))
    assert path not in git("status", "--porcelain")


@pytest.mark.timeout(300)
def test_files_of_completed_and_killed_runs_are_undone(repository):
    committed = contents(repository)
    assert dvc_cli.main(["exp", "run", "-q", "-S", "train.value=2"]) == 0
    run_and_kill("-S", "train.value=3")
    assert dvc_cli.main(["exp", "run", "-q", "-S", "train.value=4", "-S", "score.seconds=0"]) == 0
    make_git_take_for_unchanged("metrics/model.json")
    assert contents(repository) != committed
    commands.main(["reset"])
    assert contents(repository) == committed
    assert git("status", "--porcelain") == ""
    # Directly after a killed run, which has removed a file and left another that DVC's cache does not have.
    run_and_kill("-S", "train.value=5")
    (repository / "model.bin").unlink()
    (repository / "model.bin").write_text("unfinished")
    make_git_take_for_unchanged("metrics/curve.csv")
    commands.main(["reset"])
    assert contents(repository) == committed
    assert git("status", "--porcelain") == ""


def test_what_is_undone_is_printed_and_a_dry_run_changes_nothing(repository, capsys):
    (repository / "metrics/model.json").write_text("9\n")
    (repository / "params.yaml").write_text("train:\n  value: 9\nscore:\n  seconds: 0\n")
    git("add", "params.yaml")
    before = contents(repository)
    capsys.readouterr()
    commands.main(["reset", "--dry-run"])
    assert contents(repository) == before
    assert capsys.readouterr().out.splitlines() == [
        "undo the changes of metrics/model.json",
        "undo the changes of params.yaml",
        "restore DVC's outputs of the last commit from its cache, which keeps those of now",
        "outputs of DVC that are missing, changed or added since then: 0",
    ]
    (repository / "model.bin").unlink()
    commands.main(["reset", "--dry-run"])
    assert capsys.readouterr().out.endswith(": 1 (model.bin)\n")
    commands.main(["reset"])
    assert dvc_cli.main(["exp", "run", "-q", "-S", "train.value=2"]) == 0
    capsys.readouterr()
    commands.main(["reset", "--dry-run"])
    assert capsys.readouterr().out.endswith(": 1 (model.bin)\n")


def test_both_names_of_a_renamed_output_count():
    status = {"uncommitted": {"renamed": [{"old": "a", "new": "b"}], "deleted": ["c"]}, "committed": {"added": ["d"]}}
    assert going_back.changed_outputs(status, "uncommitted") == {"a", "b", "c"}
    assert going_back.changed_outputs(status, "committed") == {"d"}


def test_changed_parameters_of_another_pipeline_are_restored(repository, capsys):
    (repository / "zsi").mkdir()
    (repository / "zsi/params.yaml").write_text("gmmn: {epochs: 60}\n")
    git("add", "zsi/params.yaml")
    git("commit", "-q", "-m", "second")
    (repository / "zsi/params.yaml").write_text("gmmn: {epochs: 40}\n")
    capsys.readouterr()
    commands.main(["reset", "--dry-run"])
    assert capsys.readouterr().out.startswith("undo the changes of zsi/params.yaml\n")
    commands.main(["reset"])
    assert (repository / "zsi/params.yaml").read_text() == "gmmn: {epochs: 60}\n"


def test_outputs_that_the_cache_lacks_are_counted_with_what_to_run(repository, capsys):
    commands.main(["reset"])
    assert "missing" not in capsys.readouterr().out
    # The output is still in the folder, as committed.
    shutil.rmtree(".dvc/cache/files")
    commands.main(["reset"])
    assert "missing" not in capsys.readouterr().out
    (repository / "model.bin").unlink()
    commands.main(["reset"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("missing outputs, which DVC's cache lacks: 1 (model.bin); make them with `dvc repro`, ")
    assert last.endswith("or fetch all from a remote with `dvc pull`")


def test_changed_code_is_kept_unless_all_is_undone(repository):
    committed = contents(repository)
    (repository / "metrics/model.json").write_text("9\n")
    (repository / "script.py").write_text("# mine\n")
    for name in ("metrics/new.csv", "new.py"):
        (repository / name).write_text("mine\n")
        git("add", name)
    with pytest.raises(
        SystemExit, match=r"^nothing is undone, because other files .*: new\.py, script\.py; commit them, or"
    ):
        commands.main(["reset"])
    assert (repository / "metrics/model.json").read_text() == "9\n"
    commands.main(["reset", "--all"])
    assert contents(repository) == committed and (repository / "script.py").read_text() == _SCRIPT
    assert git("status", "--porcelain") == "?? new.py\n"


def test_a_folder_without_a_commit_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^`git read-tree HEAD` failed: "):
        commands.main(["reset"])
