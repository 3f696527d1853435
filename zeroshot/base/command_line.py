"""The command line of a stage or a command, made from the signature and the docstring of its `main`."""

import contextlib
import functools
import gc
import os
import pathlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from zeroshot.base import checksums, endings, errors, locks, ranks

# New containers between two searches for unreachable cycles of objects. Python's own 700 make it search half a million objects of
# PyTorch again and again while that is imported, which is a seventh of the time of a short command.
_CONTAINERS_PER_SEARCH = 100_000
# Time in which rank 0 reports a fault before the others do.
_FIRST_SPEAKS_SECONDS = 3.0


def run(main: Callable[..., Any], argv: Sequence[str] | None = None, shared: bool = False) -> Any:
    """Call `main` with the arguments on the command line.

    A parameter `split_path` is the flag `--split-path`; its help is its entry under `Args:`. An output's entry starts with `out:`.
    An argument `@data.root` stands for the path that params.yaml has at that key, so no shell reads the path; and
    `@szn/params.yaml:network.weights` for that of another file of parameters.

    Args:
        main: a function with annotated parameters.
        argv: the arguments after the program's name. If None, those of this process, which then ends as `endings` says: an
            interruption gives one line, DVC's end ends it, and it is refused if another process writes the same outputs.
        shared: whether several ranks can share the work of `main`. This process then starts `runtime.ranks` of them, unless that is 1
            or `torchrun` started this one.

    Returns:
        what `main` returns; None if this process started ranks.

    Raises:
        SystemExit: with status 2 if the arguments are wrong, and with the text of a UserError that `main` raises, or of one about ranks.
    """
    with _as_process(argv is None):
        # This import takes long enough to be interrupted.
        import tyro

        words = errors.reported(_from_params)(sys.argv[1:] if argv is None else argv)
        if argv is None:
            n_ranks = errors.reported(_ranks_to_start)(shared)
            main = _alone(main) if n_ranks == 1 else _launching(main, n_ranks)
        return tyro.cli(errors.reported(main), args=words)


def run_one_of(commands: Mapping[str, Callable[..., Any]], prog: str, argv: Sequence[str] | None = None) -> None:
    """Call the function of the sub-command that the command line names.

    Args:
        commands: name of the sub-command -> a function with annotated parameters.
        prog: the program's name, for the help.
        argv: as in `run`.

    Raises:
        SystemExit: with status 2 if the arguments are wrong, and with the text of a UserError that the function raises.
    """
    with _as_process(argv is None):
        import tyro

        reported = {name: errors.reported(main) for name, main in commands.items()}
        tyro.extras.subcommand_cli_from_dict(reported, prog=prog, args=argv)


@contextlib.contextmanager
def _as_process(whole: bool) -> Iterator[None]:
    """Prepare this process for `main`; `whole`: the call is all that it does, so its end is the end of the process."""
    # Idle threads sleep instead of spinning. Numerical libraries read these variables when `main` imports them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not whole:
        yield
        return
    gc.set_threshold(_CONTAINERS_PER_SEARCH)
    with endings.interruptible():
        errors.reported(endings.end_with_dvc)()
        endings.end_with_launcher()
        try:
            yield
        except SystemExit:
            # If rank 0 fails for the same reason, its message is enough, and this process is ended meanwhile.
            if ranks.rank():
                time.sleep(_FIRST_SPEAKS_SECONDS)
            raise


def _ranks_to_start(shared: bool) -> int:
    """Return how many ranks this process is to start, 1 for none.

    Raises:
        errors.UserError: if torchrun started several processes of a program that cannot share its work.
    """
    if ranks.count() > 1 and not shared:
        raise errors.UserError("this program runs in one process; start it without torchrun")
    n_ranks = _runtime("ranks") if shared and not ranks.by_torchrun() else 1
    # `main` reports other faults of the key.
    return n_ranks if isinstance(n_ranks, int) and n_ranks > 1 else 1


def _launching(main: Callable[..., Any], n_ranks: int) -> Callable[..., Any]:
    """Return a function with the arguments of `main` that runs it in ranks."""

    @functools.wraps(main)
    def run(**_: Any) -> None:
        from zeroshot.base import launching

        with endings.keeping(lambda: "see the line of rank 0 above"):
            launching.launch(n_ranks)

    return run


def _from_params(words: Sequence[str]) -> list[str]:
    """Replace each argument `@key` by the path at that key of params.yaml, and `@file:key` by that of another file."""
    from zeroshot.base import params

    def path(word: str) -> str:
        file, _, key = word[1:].rpartition(":")
        return params.data_path(file or "params.yaml", key)

    return [path(word) if word.startswith("@") else word for word in words]


def _alone(main: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `main`: it does not run while another process writes one of its outputs."""

    @functools.wraps(main)
    def run(**arguments: Any) -> Any:
        names = re.findall(r"^ +(\w+): out: ", main.__doc__ or "", re.MULTILINE)
        values = [arguments[name] for name in names if arguments.get(name) is not None]
        # An output may be several files.
        outputs = [pathlib.Path(path) for value in values for path in (value if isinstance(value, tuple) else (value,))]
        scratch = _runtime("scratch") if outputs else None
        if not isinstance(scratch, str) or not scratch:
            return main(**arguments)
        checksums.remember_in(pathlib.Path(scratch, "checksums"))
        # Rank 0 holds the locks for all ranks.
        with contextlib.nullcontext() if ranks.rank() else locks.alone(scratch, outputs):
            return main(**arguments)

    return run


def _runtime(key: str) -> Any:
    """Return a key of the section `runtime`, or None if there is none; `main` reports faults of the sections that it reads."""
    from zeroshot.base import params

    try:
        section = params.read("params.yaml").get("runtime")
    except params.ParamsError:
        return None
    return section.get(key) if isinstance(section, dict) else None
