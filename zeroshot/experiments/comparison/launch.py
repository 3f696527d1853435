"""The DVC commands that start the runs of a comparison.

`dvc queue start --jobs 1` runs the queued experiments one after the other, and all share one run cache. The first run of a dataset, K and
seed trains the backbone and dumps its features. The other runs with the same parameters of these stages take both from the cache. With
several jobs, two runs could train the same backbone at the same time.
"""

import pathlib
import subprocess

from zeroshot.base import errors
from zeroshot.experiments import presets
from zeroshot.experiments.comparison import catalogue, overrides, run_list


def command(run: run_list.Run, current: overrides.Files, queue: bool = True) -> list[str]:
    """Return the command that queues a run (or runs it in the workspace).

    Args:
        run: the run.
        current: the present content of the parameter files. `runtime` is kept, because it describes the machine.
        queue: queue the run instead of starting it.
    """
    goal = {
        path: {**content, "runtime": current[path]["runtime"]} if "runtime" in current[path] else content
        for path, content in run.params.items()
    }
    flags = [word for flag in overrides.flags(current, goal) for word in ("-S", flag)]
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
        errors.UserError: if DVC fails; its message is on the terminal.
    """
    _execute(root, command(run, presets.current_files(root)))


def run_here(root: pathlib.Path, run: run_list.Run) -> None:
    """Run in the workspace, which has the links and files that Git does not track, and restore the parameter files afterwards.

    Raises:
        errors.UserError: if the run fails; the message of DVC is on the terminal.
    """
    originals = {path: (root / path).read_bytes() for path in run.params}
    try:
        _execute(root, command(run, presets.current_files(root), queue=False))
    finally:
        for path, content in originals.items():
            (root / path).write_bytes(content)


def _execute(root: pathlib.Path, words: list[str]) -> None:
    if subprocess.run(words, cwd=root).returncode:
        raise errors.UserError(f"{words[words.index('-n') + 1]}: `dvc exp run` failed; its message is above")


def flags(root: pathlib.Path, name: str) -> str:
    """Return the `-S` flags and the target of `dvc exp run` that turn the parameter files of the repository at `root` into a method.

    Raises:
        errors.UserError: if there is no method of that name.
    """
    folder = root / catalogue.FOLDER
    method = catalogue.pick(catalogue.methods(folder), name, f"{folder / 'methods.yaml'}: no method")
    current = presets.current_files(root)
    # No quotation marks: a shell does not remove those that $(...) prints.
    words = [f"-S {flag}" for flag in overrides.flags(current, overrides.merged(current, method.set))]
    return " ".join([*words, *([method.target] if method.target else [])])
