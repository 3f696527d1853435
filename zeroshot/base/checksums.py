"""Checksums of large files, computed once for each version of a file and remembered for later stages."""

import contextlib
import hashlib
import json
import os
import pathlib
import time

from zeroshot.base import errors, storage

# Worker processes get it from the process that starts them.
_FOLDER = "ZEROSHOT_CHECKSUMS"
# Only checksums of files that are older are remembered. Far more than a tick of the clock of a file system.
SETTLED_SECONDS = 2.0


def remember_in(folder: str | pathlib.Path) -> None:
    """Let `sha256` of this process, and of the processes that it starts, remember checksums in a folder, which need not exist."""
    os.environ[_FOLDER] = str(pathlib.Path(folder).absolute())


def sha256(path: str | pathlib.Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, the remembered one if the file is as it was.

    A file is as it was if its place, inode, size and two times are: that of its last change (mtime) and that at which the system last
    changed its entry (ctime), which no program can set. Faults of the disk itself go unnoticed. The checksum of a file that changed
    within the last seconds is not remembered, because a further change might leave the same times.

    Raises:
        errors.UserError: if the file is missing.
    """
    folder = os.environ.get(_FOLDER)
    if folder is None:
        return storage.sha256(path)
    place = pathlib.Path(path).resolve()
    with storage.reporting_missing(place):
        status = place.stat()
    version = [str(place), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    note = pathlib.Path(folder, f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json")
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        remembered = json.loads(note.read_bytes())
        if remembered["version"] == version:
            return str(remembered["sha256"])
    digest = storage.sha256(place)
    if time.time() - status.st_ctime < SETTLED_SECONDS:
        return digest
    # A checksum that cannot be remembered is computed again.
    with contextlib.suppress(OSError, errors.DiskError), storage.writing(note, flush=False) as file:
        file.write(json.dumps({"version": version, "sha256": digest}).encode())
    return digest
