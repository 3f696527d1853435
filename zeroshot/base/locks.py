"""Locks on outputs and on unfinished work, so that no two processes write the same. They end with their process, however it ends."""

import contextlib
import contextvars
import datetime
import fcntl
import hashlib
import io
import os
import pathlib
import socket
from collections.abc import Iterable, Iterator

from zeroshot.base import errors, storage


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


_held: contextvars.ContextVar[_Locks | None] = contextvars.ContextVar("held", default=None)


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
        held = _Locks(pathlib.Path(scratch, "locks"), stack)
        for output in outputs:
            held.add(output)
        token = _held.set(held)
        stack.callback(_held.reset, token)
        yield


def alone_in(folder: pathlib.Path) -> None:
    """Hold a lock on a further file or folder until `alone` ends. Outside of `alone`, as in ranks other than the first, nothing happens.

    Raises:
        errors.UserError, errors.DiskError: as `alone`.
    """
    if held := _held.get():
        held.add(folder)


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
