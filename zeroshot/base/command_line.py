"""The command line of a stage or a command, made from the signature and the docstring of its `main`."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tyro

from zeroshot.base import errors


def run(main: Callable[..., Any], argv: Sequence[str] | None = None) -> Any:
    """Call `main` with the arguments on the command line.

    A parameter `split_path` is the flag `--split-path`; its help is its entry under `Args:`.

    Args:
        main: a function with annotated parameters.
        argv: the words after the program's name; those of the process if None.

    Returns:
        what `main` returns.

    Raises:
        SystemExit: with status 2 if the words do not fit, and with the text of an error that the user can mend.
    """
    _quiet_threads()
    return tyro.cli(errors.reported(main), args=argv)


def run_one_of(commands: Mapping[str, Callable[..., Any]], prog: str, argv: Sequence[str] | None = None) -> None:
    """Call the function of the sub-command that the command line of the program `prog` names; else as `run`."""
    _quiet_threads()
    reported = {name: errors.reported(main) for name, main in commands.items()}
    tyro.extras.subcommand_cli_from_dict(reported, prog=prog, args=argv)


def _quiet_threads() -> None:
    """Set what numerical libraries read when they are loaded, which a `main` does: an idle thread takes no time from others."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
