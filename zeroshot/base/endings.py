"""How a process ends: with one line if it is interrupted, together with DVC, and at once if another process has its outputs."""

import contextlib
import contextvars
import datetime
import fcntl
import hashlib
import io
import os
import pathlib
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from zeroshot.base import errors, ranks, storage

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


class _Locks:
    """The locks of a process; each is a file that names the process."""

    def __init__(self, folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._paths: set[pathlib.Path] = set()

    def add(self, output: pathlib.Path) -> None:
        """Hold a further lock until the stack ends, unless this process holds it."""
        path = output.resolve()
        if path not in self._paths:
            self._stack.enter_context(_locked(self._folder, output))
            self._paths.add(path)


_locks: contextvars.ContextVar[_Locks | None] = contextvars.ContextVar("locks", default=None)


@contextlib.contextmanager
def alone(scratch: str | pathlib.Path, outputs: Iterable[pathlib.Path]) -> Iterator[None]:
    """Hold locks on outputs, so that no second process writes them; they end with the process, also if it is killed.

    Args:
        scratch: `runtime.scratch`; the lock files are in its folder `locks`.
        outputs: files or folders that this process writes.

    Raises:
        errors.UserError: if another process holds one of them; the text names the process, its machine and the time of its start.
        errors.DiskError: if the disk of the lock files is full.
    """
    with contextlib.ExitStack() as stack:
        locks = _Locks(pathlib.Path(scratch, "locks"), stack)
        for output in outputs:
            locks.add(output)
        token = _locks.set(locks)
        stack.callback(_locks.reset, token)
        yield


def alone_in(folder: pathlib.Path) -> None:
    """Hold a lock on a further file or folder until `alone` ends. Outside of `alone`, as in ranks other than the first, nothing happens.

    Raises:
        errors.UserError, errors.DiskError: as `alone`.
    """
    if locks := _locks.get():
        locks.add(folder)


@contextlib.contextmanager
def _locked(folder: pathlib.Path, output: pathlib.Path) -> Iterator[None]:
    path = folder / f"{hashlib.sha256(os.fsencode(output.resolve())).hexdigest()[:16]}.lock"
    with contextlib.ExitStack() as stack:
        with storage.reporting_full_disk(path):
            file = stack.enter_context(_lock_file(path, output))
            file.truncate(0)
            # On a shared file system, another machine may read this, where the number is that of some other process.
            file.write(f"{os.getpid()} {socket.gethostname()} {datetime.datetime.now():%Y-%m-%d %H:%M:%S}\n".encode())
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


def _lock_file(path: pathlib.Path, output: pathlib.Path) -> io.FileIO:
    """Create and lock the file at `path`, and open it.

    Raises:
        errors.UserError: if another process holds its lock.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer, which would be written once more, and fail once more, when the file is closed on a full disk.
        file = io.FileIO(path, "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                pid, _, rest = file.read().decode().strip().partition(" ")
            host, _, start = rest.partition(" ")
            raise errors.UserError(
                f"{output}: process {pid} on {host} has been writing it since {start}; wait until that process ends, or end it there"
                f" with `kill {pid}`"
            ) from None
        except OSError:
            # Some network file systems have no locks.
            pass
        # The process that held the lock removed its file at its end, perhaps after this one opened it.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()
