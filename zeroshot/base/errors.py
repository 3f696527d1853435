"""Errors that the user can mend, and how a stage reports them: the message alone, without a traceback."""

import errno
import functools
from collections.abc import Callable
from typing import Any


class UserError(ValueError):
    """Raised for what is wrong with parameters, files or a run; the text says where, what was found and what to do."""


def reported(main: Callable[..., None]) -> Callable[..., None]:
    """Wrap a stage's `main`, so that a UserError (or a full disk) ends the process with its text and exit status 1."""

    @functools.wraps(main)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            main(*args, **kwargs)
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
