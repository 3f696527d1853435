"""How a process ends: with one line if it is interrupted, and together with DVC or its launcher."""

import contextlib
import os
import pathlib
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from zeroshot.base import errors, ranks

# Exit status after an interruption, as in a shell.
INTERRUPTED = 130
# Time in which an interrupted stage can finish the file that it writes.
GRACE_SECONDS = 30.0


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a line that says what is kept, and exit status 130. Call it in the main thread.

    Raises:
        SystemExit: after an interruption.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt as interruption:
        kept = "; ".join(getattr(interruption, "__notes__", []))
        # If DVC has been killed, the other end of a pipe may be gone.
        with contextlib.suppress(OSError):
            text = kept or "no unfinished work is kept, so the next run starts from the beginning"
            # Rank 0 speaks for all ranks.
            if not ranks.rank():
                sys.stderr.write(f"interrupted: {text}\n")
                sys.stderr.flush()
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def keeping(describe: Callable[[], str]) -> Iterator[None]:
    """Let `interruptible` print what is kept, if an interruption ends the context.

    Args:
        describe: returns the text; an empty one means that nothing is kept yet.
    """
    try:
        yield
    except KeyboardInterrupt as interruption:
        if text := describe():
            interruption.add_note(text)
        raise


def end_with_dvc() -> None:
    """If DVC runs this stage, end the stage when DVC ends, even if DVC is killed. A stage started by hand is not changed.

    Otherwise the next `dvc repro` would start a second process with the same outputs.
    """
    if "DVC_STAGE" not in os.environ:
        return
    while True:
        pid = _dvc()
        if pid == 1 and b"dvc" not in _of_process(1, "cmdline"):
            raise errors.UserError("DVC, which started this stage, has ended; run `dvc repro` again")
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        except OSError:
            # Linux before 5.3, or a container that forbids the call.
            return
        # If DVC ended before the handle was there, another process is the parent now.
        if _dvc() == pid:
            break
        os.close(handle)
    threading.Thread(target=_end_after, args=(handle,), daemon=True).start()


def end_with_launcher() -> None:
    """If this process is one of several ranks, end it when the process that started it ends, even if that is killed."""
    if ranks.count() == 1:
        return
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(os.getppid())
        threading.Thread(target=_end_after, args=(handle,), daemon=True).start()


def _end_after(handle: int) -> None:
    select.select([handle], [], [])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(INTERRUPTED)


def _dvc() -> int:
    """Return the id of the nearest ancestor that DVC did not start; between it and this process there may be a shell."""
    pid = os.getppid()
    while pid > 1 and any(entry.startswith(b"DVC_STAGE=") for entry in _of_process(pid, "environ").split(b"\0")):
        # The name of the process, in brackets, may contain spaces.
        pid = int(_of_process(pid, "stat").rpartition(b")")[2].split()[1] or 1)
    return pid


def _of_process(pid: int, name: str) -> bytes:
    """Return a file of /proc, empty if the process has ended or belongs to another user."""
    try:
        return pathlib.Path("/proc", str(pid), name).read_bytes()
    except OSError:
        return b""
