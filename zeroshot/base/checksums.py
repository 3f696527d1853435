"""Checksums of large files, computed once for each version of a file and remembered for later stages."""

import contextlib
import hashlib
import json
import os
import pathlib

from zeroshot.base import errors, storage

# Worker processes get it from the process that starts them.
_FOLDER = "ZEROSHOT_CHECKSUMS"


def remember_in(folder: str | pathlib.Path) -> None:
    """Let `sha256` of this process, and of the processes that it starts, remember checksums in a folder, which need not exist."""
    os.environ[_FOLDER] = str(pathlib.Path(folder).absolute())


def sha256(path: str | pathlib.Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, the remembered one if the file is as it was.

    A file is as it was if its place, inode, size and times of change are. The second of these times, which Linux sets, cannot be set
    back, so only a fault of the disk itself goes unnoticed.
    """
    folder = os.environ.get(_FOLDER)
    if folder is None:
        return storage.sha256(path)
    place = pathlib.Path(path).resolve()
    status = place.stat()
    version = [str(place), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    note = pathlib.Path(folder, f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json")
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        remembered = json.loads(note.read_bytes())
        if remembered["version"] == version:
            return str(remembered["sha256"])
    digest = storage.sha256(place)
    # A checksum that cannot be remembered is computed again.
    with contextlib.suppress(OSError, errors.DiskError), storage.writing(note, flush=False) as file:
        file.write(json.dumps({"version": version, "sha256": digest}).encode())
    return digest
