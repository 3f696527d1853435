"""User errors end a process with their text or are collected; all other errors keep their traceback."""

import contextlib
import errno
import os
import subprocess
import sys

import pytest
import torch

from zeroshot.base import checkpoints, errors, storage

FULL = "the disk is full: [Errno 28] No space left on device; make room and run the stage again"


class DataError(errors.UserError):
    """A subclass of UserError, as in the library."""


@errors.reported
def fail(error, cause=None):
    raise error from cause


def run_process(body):
    """Run `body` as a stage in a separate process; return its exit status and its standard error."""
    script = f"import os\nfrom zeroshot.base import errors\n\n@errors.reported\ndef main():\n    {body}\n\nmain()\n"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert process.stdout == ""
    return process.returncode, process.stderr


@pytest.mark.parametrize("cls", [errors.UserError, DataError])
def test_user_error_becomes_system_exit_with_its_text(cls):
    with pytest.raises(SystemExit) as caught:
        fail(cls("a.png: unreadable\n  b.png: missing"))
    assert caught.value.code == "a.png: unreadable\n  b.png: missing"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise errors.UserError('a.png: unreadable; remove it')", "a.png: unreadable; remove it"),
        ("open('/dev/full', 'wb', buffering=0).write(b'x')", FULL),
    ],
    ids=["user", "disk"],
)
def test_process_prints_only_the_text_and_exits_with_status_1(body, expected):
    assert run_process(body) == (1, f"{expected}\n")


def test_other_error_keeps_its_traceback():
    status, text = run_process("os.stat('missing')")
    assert status == 1 and text.startswith("Traceback ") and "FileNotFoundError" in text


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file"),
        OSError("without errno"),
        ValueError("not a user error"),
        RuntimeError("not a user error either"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_are_not_changed(error):
    with pytest.raises(type(error)) as caught:
        fail(error)
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        fail(error, OSError(errno.EIO, "Input/output error"))
    assert caught.value is error


def test_full_disk_is_reported_in_one_line():
    """h5py's message of a full disk has several lines."""
    with pytest.raises(SystemExit) as caught:
        fail(OSError(errno.ENOSPC, "Can't write data (time = today\n, filename = 'a.h5'\n)"))
    assert caught.value.code == (
        "the disk is full: [Errno 28] Can't write data (time = today , filename = 'a.h5' ); "
        "make room and run the stage again"
    )


def test_full_disk_is_recognised_as_cause_of_another_error():
    with pytest.raises(SystemExit) as caught:
        fail(RuntimeError("unexpected pos 704 vs 598"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert caught.value.code == FULL


def test_forbidden_file_is_reported_in_one_line():
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "data/private")
    with pytest.raises(SystemExit) as caught:
        fail(error)
    assert caught.value.code == (
        "a file or folder may not be used: [Errno 13] Permission denied: 'data/private'; "
        "change its permissions and run the stage again"
    )


def test_checkpoint_on_a_full_disk_is_reported_in_one_line(tmp_path, monkeypatch):
    """On a full disk, torch.save raises a RuntimeError about file positions."""
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(SystemExit) as caught:
        monkeypatch.setattr(storage, "writing", lambda path: contextlib.nullcontext(full))
        errors.reported(checkpoints.save)(tmp_path / "a.pt", {"weight": torch.zeros(100_000)})
    assert caught.value.code == FULL


def test_reported_keeps_arguments_result_and_docstring():
    calls = []

    @errors.reported
    def main(*args, **kwargs):
        """Run the stage."""
        calls.append((args, kwargs))
        return 4

    assert main(1, two=3) == 4
    assert calls == [((1,), {"two": 3})] and main.__name__ == "main" and main.__doc__ == "Run the stage."


def test_no_error_without_faults():
    assert errors.Faults().raise_any("data") is None


def test_faults_are_listed_by_kind_in_order_and_long_lists_are_shortened():
    faults = errors.Faults()
    for number in range(23):
        faults.add("missing", f"file {number}")
    faults.add("broken", "file x")
    with pytest.raises(errors.DatasetError) as caught:
        faults.raise_any("data/toy")
    lines = str(caught.value).splitlines()
    assert lines[:3] == ["data/toy: 24 faults", "  missing (23):", "    file 0"]
    assert lines[21:] == ["    file 19", "    and 3 more", "  broken (1):", "    file x"]


def test_message_of_a_single_fault_uses_the_singular():
    faults = errors.Faults()
    faults.add("missing", "file 0")
    with pytest.raises(errors.DatasetError) as caught:
        faults.raise_any("data/toy")
    assert str(caught.value) == "data/toy: 1 fault\n  missing (1):\n    file 0"


def test_faults_are_true_if_there_is_one_and_equal_ones_are_listed_once():
    faults = errors.Faults()
    assert not faults
    for detail in ("a", "b", "a"):
        faults.add("broken", detail)
    assert faults
    with pytest.raises(errors.DatasetError, match=r"^data: 2 faults\n  broken \(2\):\n    a\n    b$"):
        faults.raise_any("data")
