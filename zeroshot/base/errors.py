"""Errors that the user can mend: raised one by one or collected, and reported as a message without a traceback."""

import errno
import functools
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
# Faults of one kind that a message lists.
SHOWN = 20


class UserError(ValueError):
    """Raised for what is wrong with parameters, files or a run; the text says where, what was found and what to do."""


class DatasetError(UserError):
    """Raised once for all faults of a dataset; the text lists them by kind."""


class Faults:
    """Faults by kind, in the order in which they were found."""

    def __init__(self) -> None:
        self._details: dict[str, list[str]] = {}

    def add(self, kind: str, detail: str) -> None:
        """Note one fault: `kind` says what is wrong and what is needed, `detail` where and what was found."""
        self._details.setdefault(kind, []).append(detail)

    def raise_any(self, where: str) -> None:
        """Raise a DatasetError if any fault was noted; at most `SHOWN` details stand under each kind.

        Args:
            where: the dataset, for the first line of the text.
        """
        if not self._details:
            return
        total = sum(map(len, self._details.values()))
        lines = [f"{where}: {total} fault{'s' if total > 1 else ''}"]
        for kind, details in self._details.items():
            lines.append(f"  {kind} ({len(details)}):")
            lines.extend(f"    {detail}" for detail in details[:SHOWN])
            if len(details) > SHOWN:
                lines.append(f"    and {len(details) - SHOWN} more")
        raise DatasetError("\n".join(lines))


def reported(main: Callable[..., T]) -> Callable[..., T]:
    """Wrap `main`, so that a UserError (or a full disk) ends the process with its text and exit status 1."""

    @functools.wraps(main)
    def run(*args: Any, **kwargs: Any) -> T:
        try:
            return main(*args, **kwargs)
        except UserError as error:
            raise SystemExit(str(error)) from error
        except Exception as error:
            full = _full_disk(error)
            if full is None:
                raise
            text = " ".join(str(full).split())
            raise SystemExit(f"the disk is full: {text}; make room and run the stage again") from error

    return run


def _full_disk(error: BaseException | None) -> BaseException | None:
    """Return the error of a full disk that `error` is or came from: torch.save raises one of its own that says nothing of it."""
    while error is not None and getattr(error, "errno", None) != errno.ENOSPC:
        error = error.__cause__ or error.__context__
    return error
