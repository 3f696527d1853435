"""Errors that the user can correct: raised one by one or collected, and shown as a message without a traceback."""

import codecs
import errno
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import pydantic

T = TypeVar("T")
# Largest number of faults of one kind that a message lists.
MAX_LISTED = 20
# What to do if file names or output cannot have other letters than ASCII.
UTF8_REMEDY = "set a UTF-8 locale (`export LC_ALL=C.UTF-8`, without PYTHONUTF8=0)"
# Errors of the machine, which no code can cause or avoid -> what happened and what to do.
_MACHINE = {
    errno.ENOSPC: ("the disk is full", "make room"),
    errno.EDQUOT: ("your quota of disk space is used up", "make room"),
    errno.EACCES: ("a file or folder may not be used", "change its permissions"),
    errno.EPERM: ("a file or folder may not be used", "change its permissions"),
    errno.EROFS: ("the file system can only be read", "use a folder on another one"),
}


class UserError(ValueError):
    """Raised if parameters, files or a run are wrong; the text gives the place, what was found and what to do."""


class DiskError(UserError):
    """Raised if the disk is full, or has too little room for what is to be written."""


class DatasetError(UserError):
    """Raised once for all faults of a dataset; the text lists them by kind."""


class Faults:
    """Faults grouped by kind, in the order in which they were added."""

    def __init__(self) -> None:
        self._details: dict[str, dict[str, None]] = {}

    def __bool__(self) -> bool:
        """Return whether there is a fault."""
        return bool(self._details)

    def add(self, kind: str, detail: str) -> None:
        """Add one fault, unless it was added before.

        Args:
            kind: what is wrong and what is needed; faults with the same text are listed together.
            detail: the place, and what was found there.
        """
        self._details.setdefault(kind, {})[detail] = None

    def raise_any(self, where: str) -> None:
        """Raise one error for all faults, if there are any.

        Args:
            where: the dataset, for the first line of the text.

        Raises:
            DatasetError: if a fault was added; the text lists at most `MAX_LISTED` details of each kind.
        """
        if not self:
            return
        total = sum(map(len, self._details.values()))
        lines = [f"{where}: {total} fault{'s' if total > 1 else ''}"]
        for kind, details in self._details.items():
            lines.append(f"  {kind} ({len(details)}):")
            lines.extend(f"    {detail}" for detail in list(details)[:MAX_LISTED])
            if len(details) > MAX_LISTED:
                lines.append(f"    and {len(details) - MAX_LISTED} more")
        raise DatasetError("\n".join(lines))


def describe(error: pydantic.ValidationError) -> list[str]:
    """Return where and what is wrong, as in `train.0.id: Field required`, for at most `MAX_LISTED` of the faults."""
    faults = error.errors(include_url=False)[:MAX_LISTED]
    return [f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in faults]


def reported(main: Callable[..., T]) -> Callable[..., T]:
    """Wrap `main`: after a UserError, an error of the machine or of its locale, the process ends with a message and exit status 1."""

    @functools.wraps(main)
    def run(*args: Any, **kwargs: Any) -> T:
        try:
            return main(*args, **kwargs)
        except UserError as error:
            raise SystemExit(str(error)) from error
        except Exception as error:
            cause = _describe_machine(error)
            if cause is None:
                raise
            raise SystemExit(cause) from error

    return run


def is_utf8(encoding: str) -> bool:
    """Return whether `encoding`, under any of its names, is UTF-8."""
    return codecs.lookup(encoding).name == "utf-8"


def full_disk(error: BaseException | None) -> OSError | None:
    """Return the error of a full disk or a used-up quota among `error` and its causes, or None."""
    cause = _of_machine(error)
    return cause if cause is not None and cause.errno in (errno.ENOSPC, errno.EDQUOT) else None


def _describe_machine(error: BaseException | None) -> str | None:
    """Return a message for the error with a number of `_MACHINE` among `error` and its causes, or None."""
    if isinstance(error, UnicodeEncodeError) and not is_utf8(error.encoding):
        return f"{error.object!a} cannot be a file name or output in the encoding {error.encoding}; {UTF8_REMEDY} and run the stage again"
    cause = _of_machine(error)
    if cause is None:
        return None
    what, remedy = _MACHINE[cause.errno or 0]
    return f"{what}: {' '.join(str(cause).split())}; {remedy} and run the stage again"


def _of_machine(error: BaseException | None) -> OSError | None:
    """Return the error with a number of `_MACHINE` among `error` and its causes, or None.

    The causes count because torch.save raises a RuntimeError that does not mention the disk.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _MACHINE:
            return error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None
