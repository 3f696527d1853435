"""Errors that the user can correct: raised one by one or collected, and shown as a message without a traceback."""

import errno
import functools
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
# Largest number of faults of one kind that a message lists.
MAX_LISTED = 20


class UserError(ValueError):
    """Raised if parameters, files or a run are wrong; the text gives the place, what was found and what to do."""


class DiskError(UserError):
    """Raised if the disk is full, or has too little room for what is to be written."""


class DatasetError(UserError):
    """Raised once for all faults of a dataset; the text lists them by kind."""


class Faults:
    """Faults grouped by kind, in the order in which they were added."""

    def __init__(self) -> None:
        self._details: dict[str, list[str]] = {}

    def add(self, kind: str, detail: str) -> None:
        """Add one fault.

        Args:
            kind: what is wrong and what is needed; faults with the same text are listed together.
            detail: the place, and what was found there.
        """
        self._details.setdefault(kind, []).append(detail)

    def raise_any(self, where: str) -> None:
        """Raise one error for all faults, if there are any.

        Args:
            where: the dataset, for the first line of the text.

        Raises:
            DatasetError: if a fault was added; the text lists at most `MAX_LISTED` details of each kind.
        """
        if not self._details:
            return
        total = sum(map(len, self._details.values()))
        lines = [f"{where}: {total} fault{'s' if total > 1 else ''}"]
        for kind, details in self._details.items():
            lines.append(f"  {kind} ({len(details)}):")
            lines.extend(f"    {detail}" for detail in details[:MAX_LISTED])
            if len(details) > MAX_LISTED:
                lines.append(f"    and {len(details) - MAX_LISTED} more")
        raise DatasetError("\n".join(lines))


def reported(main: Callable[..., T]) -> Callable[..., T]:
    """Wrap `main`: a UserError or a full disk ends the process with a message and exit status 1."""

    @functools.wraps(main)
    def run(*args: Any, **kwargs: Any) -> T:
        try:
            return main(*args, **kwargs)
        except UserError as error:
            raise SystemExit(str(error)) from error
        except Exception as error:
            disk_error = full_disk(error)
            if disk_error is None:
                raise
            text = " ".join(str(disk_error).split())
            raise SystemExit(f"the disk is full: {text}; make room and run the stage again") from error

    return run


def full_disk(error: BaseException | None) -> BaseException | None:
    """Return the error of a full disk or a used-up quota among `error` and its causes, or None.

    The causes count because torch.save raises a RuntimeError that does not mention the disk.
    """
    while error is not None and getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
        error = error.__cause__ or error.__context__
    return error
