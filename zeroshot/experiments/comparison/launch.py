"""The DVC commands that make the runs of a comparison.

DVC's queue works through its tasks one at a time (`dvc queue start --jobs 1`), and all share one run cache. So the first run of a
(dataset, K, seed) trains the backbone and dumps its features, and the others, whose parameters agree that far, find both in the
cache. With more jobs at once, two could start before either has it.
"""

import pathlib
import subprocess
from typing import Any

from zeroshot.base import errors, params
from zeroshot.experiments.comparison import catalogue, overrides, run_list


def command(run: run_list.Run, current: dict[str, Any], queue: bool = True) -> list[str]:
    """Return the command that queues a run (or runs it in the workspace), given what params.yaml holds now.

    `runtime` stays as it is there: it says where to run, and no figure depends on it.
    """
    wanted = {**run.params, "runtime": current["runtime"]} if "runtime" in current else run.params
    flags = [word for flag in overrides.flags(current, wanted) for word in ("-S", flag)]
    return [
        "dvc",
        "exp",
        "run",
        *(["--queue"] if queue else []),
        "-n",
        run.name,
        *flags,
        *([run.target] if run.target else []),
    ]


def queue(root: pathlib.Path, run: run_list.Run) -> None:
    """Put a run into DVC's queue.

    Raises:
        errors.UserError: if DVC refuses; its own words are on the terminal.
    """
    _execute(root, command(run, params.read(root / "params.yaml")))


def here(root: pathlib.Path, run: run_list.Run) -> None:
    """Run in the workspace, where links and files that Git does not track are at hand, and put params.yaml back afterwards.

    Raises:
        errors.UserError: if the run fails; DVC's own words are on the terminal.
    """
    path = root / "params.yaml"
    before = path.read_text()
    try:
        _execute(root, command(run, params.read(path), queue=False))
    finally:
        path.write_text(before)


def _execute(root: pathlib.Path, words: list[str]) -> None:
    if subprocess.run(words, cwd=root).returncode:
        raise errors.UserError(f"{words[words.index('-n') + 1]}: `dvc exp run` failed; what it said stands above")


def flags(root: pathlib.Path, name: str) -> str:
    """Return the `-S` flags and the target that lead from params.yaml of the repository at `root` to a method.

    Raises:
        errors.UserError: if there is no method of that name.
    """
    folder = root / catalogue.FOLDER
    method = catalogue.pick(catalogue.methods(folder), name, f"{folder / 'methods.yaml'}: no method")
    current = params.read(root / "params.yaml")
    # Without quotation marks, which a shell would hand on as they are when it puts this in place of $(...).
    words = [f"-S {flag}" for flag in overrides.flags(current, overrides.merged(current, method.set))]
    return " ".join([*words, *([method.target] if method.target else [])])
