"""A first look at a file that a user gives or may have damaged, before a library reads it."""

import os
import pathlib
from collections.abc import Iterable

from zeroshot.base import errors, text_files

# What to do about a missing or damaged file that a stage wrote.
REMEDY = "`dvc repro` restores it or makes it again"
# The start of the small text that Git LFS puts in the place of a file that it has not downloaded.
_LFS_POINTER = b"version https://git-lfs"


class FileError(errors.UserError):
    """Raised if a file cannot be opened or has other content than needed; the text names the file, the cause and what to do."""


def head(path: str | pathlib.Path, size: int = len(_LFS_POINTER)) -> bytes:
    """Return the first bytes of a regular file: at most `size`, or a little more if `size` is very small.

    A pipe or a device is not opened, because reading it may wait forever or never end.

    Raises:
        FileError: if the file is missing, is no regular file, cannot be opened, or is a pointer of Git LFS.
    """
    try:
        text_files.check_regular(path)
        with open(path, "rb") as file:
            start = file.read(max(size, len(_LFS_POINTER)))
    except text_files.TextError as error:
        raise FileError(str(error)) from None
    except OSError as error:
        raise FileError(f"{path}: cannot be opened: {error.strerror}; check its permissions") from error
    if start.startswith(_LFS_POINTER):
        raise FileError(f"{path}: is only a pointer of Git LFS; fetch the file itself with `git lfs pull`")
    return start


def linked_folders(root: pathlib.Path, names: Iterable[str]) -> dict[pathlib.Path, str]:
    """Return the folders below `root` that are symbolic links, since DVC does not notice when the files behind them change.

    The root itself may be a link, and so may single files: DVC hashes what they point to.

    Args:
        root: a folder or file that DVC hashes.
        names: POSIX paths of files and folders, relative to `root`; their last and all other parts are checked.

    Returns:
        each linked folder, once -> its target.
    """
    links = {}
    for name in names:
        path = root
        for part in pathlib.PurePosixPath(name).parts:
            path /= part
            if path.is_symlink() and path.is_dir():
                links[path] = os.readlink(path)
    return links
