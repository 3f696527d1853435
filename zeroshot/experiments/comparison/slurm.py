"""A Slurm script over runs of a comparison: a job array in which each run works in a clone of its own. Slurm does the scheduling."""

import pathlib
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence

import dvc.repo

from zeroshot.base import errors
from zeroshot.experiments.comparison import launch, overrides, run_list

_TEMPLATE = pathlib.Path(__file__).with_name("slurm_array.sh")
# Folder of raw data, pretrained weights and generated files.
_DATA = "data"


def script(
    root: pathlib.Path, name: str, runs: Sequence[run_list.Run], networks: Mapping[str, str], current: overrides.Files
) -> str:
    """Return the script. Networks that several runs share are trained first, each by one run.

    Args:
        root: the repository, which all nodes see at the same path, as they see its environment and DVC's cache.
        name: name of the comparison.
        runs: at least one.
        networks: name of each run -> a text that is equal for runs with the same network.
        current: content of the parameter files.

    Raises:
        errors.UserError: if Git or DVC cannot say what the repository has.
    """
    ordered = networks_first(runs, networks)
    n_first = len({networks[run.name] for run in runs})
    root = root.resolve()
    with dvc.repo.Repo(str(root)) as repo:
        outputs = [pathlib.PurePosixPath(out.def_path) for out in repo.index.outs]
        cache = repo.cache.local.path
    return _TEMPLATE.read_text(encoding="utf-8").format(
        name=name,
        n_runs=len(runs),
        n_first=n_first,
        last_first=n_first - 1,
        last=len(runs) - 1,
        commit=_git(root, "rev-parse", "HEAD").strip(),
        repository=shlex.quote(str(root)),
        cache=shlex.quote(str(cache)),
        bin=shlex.quote(str(pathlib.Path(sys.executable).parent)),
        links=shlex.join(_raw_data(root, outputs)),
        names=shlex.join(run.name for run in ordered),
        commands="\n".join(
            f"  {shlex.quote(shlex.join(launch.command(run, current, queue=False)))}" for run in ordered
        ),
    )


def networks_first(runs: Sequence[run_list.Run], networks: Mapping[str, str]) -> list[run_list.Run]:
    """Return the first run of every network, and then the others, both in the given order."""
    first = {networks[run.name]: run for run in reversed(runs)}
    return sorted(runs, key=lambda run: first[networks[run.name]] is not run)


def _raw_data(root: pathlib.Path, outputs: Sequence[pathlib.PurePosixPath]) -> list[str]:
    """Return the paths in the folder of data that neither Git nor DVC has: they are what a clone lacks."""
    listed = _git(root, "ls-files", "--others", "--directory", "-z", _DATA).split("\0")
    paths = [pathlib.PurePosixPath(path) for path in listed if path]
    made = [path for path in paths if any(out in (path, *path.parents) or path in out.parents for out in outputs)]
    return sorted(str(path) for path in paths if path not in made)


def _git(root: pathlib.Path, *words: str) -> str:
    process = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
    if process.returncode:
        raise errors.UserError(f"{root}: `git {' '.join(words)}` failed: {process.stderr.strip()}")
    return process.stdout
