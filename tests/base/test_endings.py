"""How processes end: each test starts a small stage as a process of its own."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.support import small_disk as disks
from zeroshot.base import endings, errors, locks

small_disk = disks.small_disk

NOTHING = "interrupted: no unfinished work is kept, so the next run starts from the beginning\n"


def rest(_):
    pathlib.Path(f"resting-{os.getpid()}").touch()
    time.sleep(600)


STAGE = '''
import os, pathlib, sys, time
from tests.base import test_endings
from zeroshot.base import command_line, endings, parallel

def main(*, out_path: pathlib.Path, seconds: float = 600.0) -> None:
    """Write a file.

    Args:
        out_path: out: the file.
        seconds: how long it takes.
    """
    {body}

if __name__ == "__main__":
    command_line.run(main)
'''
SLEEP = "pathlib.Path('started').write_text(str(os.getpid())); time.sleep(seconds)"


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a stage in an empty folder; at the end of the test all its processes are killed."""
    started = []

    def begin(body=SLEEP, *arguments, prefix=(), **environment):
        (tmp_path / "stage.py").write_text(STAGE.format(body=body))
        (tmp_path / "params.yaml").write_text("runtime: {scratch: work}\n")
        command = [*prefix, sys.executable, "stage.py", "--out-path", "models/a.pt", *arguments]
        process = subprocess.Popen(
            command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2]), **environment},
            # Tests that run in the background of a shell inherit that it ignores this signal.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def is_alive(pid):
    """Return whether a process runs. A zombie does not."""
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_gives_one_line_and_exit_status_130(start, tmp_path, number):
    process = start()
    wait_for((tmp_path / "started").exists)
    os.killpg(process.pid, number)
    assert (process.wait(30), process.stderr.read()) == (130, NOTHING)


def test_an_interruption_says_what_is_kept(start, tmp_path):
    process = start(f"with endings.keeping(lambda: '3 of 9 epochs are kept in work/x'): {SLEEP}")
    wait_for((tmp_path / "started").exists)
    process.send_signal(signal.SIGINT)
    assert (process.wait(30), process.stderr.read()) == (130, "interrupted: 3 of 9 epochs are kept in work/x\n")


def test_an_interruption_does_not_wait_for_the_jobs_of_workers(start, tmp_path):
    process = start("list(parallel.each(test_endings.rest, [0, 1], 2))")
    wait_for(lambda: len(list(tmp_path.glob("resting-*"))) == 2)
    os.killpg(process.pid, signal.SIGINT)
    assert (process.wait(30), process.stderr.read()) == (130, NOTHING)
    assert not any(is_alive(path.name.partition("-")[2]) for path in tmp_path.glob("resting-*"))


# DVC runs a stage in a shell. Here a shell without the variable stands for DVC, and one with the variable for that shell.
DVC = 'env {variable} sh -c \'"$@"; true\' sh "$@"; true'


@pytest.mark.parametrize("by_dvc", [True, False])
def test_a_stage_ends_with_dvc_and_one_started_by_hand_does_not_end_with_its_shell(start, tmp_path, by_dvc):
    variable = "DVC_STAGE=train" if by_dvc else "OTHER=train"
    process = start(SLEEP, prefix=("sh", "-c", DVC.format(variable=variable), "sh"))
    started = tmp_path / "started"
    wait_for(lambda: started.exists() and started.read_text())
    stage = started.read_text()
    process.kill()
    process.wait()
    if by_dvc:
        wait_for(lambda: not is_alive(stage))
        assert process.stderr.read() == NOTHING
    else:
        time.sleep(0.5)
        assert is_alive(stage)


def test_a_stage_whose_dvc_has_ended_does_not_start(monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setattr(endings, "_dvc", lambda: 1)
    monkeypatch.setattr(endings, "_of_process", lambda pid, name: b"/sbin/init")
    with pytest.raises(errors.UserError, match="^DVC, which started this stage, has ended; run `dvc repro` again$"):
        endings.end_with_dvc()


def test_a_second_process_with_the_same_output_is_refused(start, tmp_path):
    first = start()
    wait_for((tmp_path / "started").exists)
    second = start()
    assert second.wait(30) == 1
    text = second.stderr.read()
    host = socket.gethostname()
    assert text.startswith(f"models/a.pt: process {first.pid} on {host} has been writing it since 20")
    assert text.endswith(f"; wait until that process ends, or end it there with `kill {first.pid}`\n")
    assert text.count("\n") == 1
    assert start(SLEEP, "--out-path", "models/b.pt", "--seconds", "0").wait(30) == 0
    # The lock ends with its process, however it ends.
    first.kill()
    first.wait()
    assert start(SLEEP, "--seconds", "0").wait(30) == 0


WORK = "from zeroshot.base import resuming; resuming.folder('work', 'train', b''); "


@pytest.mark.parametrize("name", ["work", "link"])
def test_a_second_process_with_the_same_unfinished_work_is_refused(start, tmp_path, name):
    """As in two workspaces with one scratch folder: their outputs differ, and the second would lose what the first deletes at its end."""
    (tmp_path / "work").mkdir()
    (tmp_path / "link").symlink_to("work")
    first = start(WORK + SLEEP)
    wait_for((tmp_path / "started").exists)
    second = start(WORK.replace("'work'", f"'{name}'") + SLEEP, "--out-path", "models/b.pt")
    assert second.wait(60) == 1
    (folder,) = (tmp_path / "work/train").iterdir()
    place = pathlib.Path(name, "train", folder.name)
    assert second.stderr.read().startswith(
        f"{place}: process {first.pid} on {socket.gethostname()} has been writing it"
    )
    first.kill()
    first.wait()
    # A stage may ask for its folder twice.
    assert start(WORK + WORK + SLEEP, "--out-path", "models/b.pt", "--seconds", "0").wait(60) == 0


def test_locks_on_a_full_disk_are_named(small_disk):
    (small_disk / "large").write_bytes(bytes(disks.BYTES - 4096))
    outputs = [pathlib.Path("a"), pathlib.Path("b")]
    match = rf"^{small_disk}/locks/\w+\.lock: cannot be written, because the disk is full"
    with pytest.raises(errors.DiskError, match=match), locks.alone(small_disk, outputs):
        pass
    (small_disk / "large").unlink()
    with locks.alone(small_disk, outputs):
        assert len(list((small_disk / "locks").iterdir())) == 2
    assert not list((small_disk / "locks").iterdir())


def test_locks_are_left_out_where_the_file_system_has_none(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with locks.alone(tmp_path, [pathlib.Path("a")]), locks.alone(tmp_path, [pathlib.Path("a")]):
        pass


def test_an_output_of_several_files_is_guarded_as_each_of_them(tmp_path):
    """A parameter that is a tuple of paths: another process that writes one of them is named."""
    stage = (
        "import pathlib, time\n"
        "from zeroshot.base import command_line\n"
        "def main(*, out_paths: tuple[pathlib.Path, ...], seconds: float) -> None:\n"
        '    """Wait.\n\n    Args:\n        out_paths: out: files.\n        seconds: how long.\n    """\n'
        "    print('started', flush=True)\n"
        "    time.sleep(seconds)\n"
        "if __name__ == '__main__':\n"
        "    command_line.run(main)\n"
    )
    (tmp_path / "stage.py").write_text(stage)
    (tmp_path / "params.yaml").write_text("runtime: {scratch: work}\n")
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}

    def start(seconds, *paths):
        words = [sys.executable, "stage.py", "--out-paths", *paths, "--seconds", str(seconds)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(words, cwd=tmp_path, env=environment, **pipes)

    first = start(60, "a.pt", "b.pt")
    try:
        assert first.stdout.readline() == "started\n"
        text, _ = start(0, "b.pt", "c.pt").communicate(timeout=60)
        assert text.startswith(f"b.pt: process {first.pid} ")
    finally:
        first.kill()
        first.communicate()
