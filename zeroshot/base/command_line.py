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
        argv: the arguments after the program's name; `sys.argv[1:]` if None.

    Returns:
        what `main` returns.

    Raises:
        SystemExit: with status 2 if the arguments are wrong, and with the text of a UserError that `main` raises.
    """
    _set_thread_variables()
    return tyro.cli(errors.reported(main), args=argv)


def run_one_of(commands: Mapping[str, Callable[..., Any]], prog: str, argv: Sequence[str] | None = None) -> None:
    """Call the function of the sub-command that the command line names.

    Args:
        commands: name of the sub-command -> a function with annotated parameters.
        prog: the program's name, for the help.
        argv: the arguments after the program's name; `sys.argv[1:]` if None.

    Raises:
        SystemExit: with status 2 if the arguments are wrong, and with the text of a UserError that the function raises.
    """
    _set_thread_variables()
    reported = {name: errors.reported(main) for name, main in commands.items()}
    tyro.extras.subcommand_cli_from_dict(reported, prog=prog, args=argv)


def _set_thread_variables() -> None:
    """Let idle threads sleep instead of spinning. Numerical libraries read these variables when `main` imports them."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
