"""A Slurm script over runs of a comparison: a job array in which each run works in a clone of its own. Slurm does the scheduling."""

import pathlib
import shlex
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

import dvc.repo

from zeroshot.base import errors
from zeroshot.experiments.comparison import launch, overrides, run_list

_TEMPLATE = pathlib.Path(__file__).with_name("slurm_array.sh")
# Folder of raw data, pretrained weights and generated files.
_DATA = "data"


def script(
    root: pathlib.Path,
    name: str,
    runs: Sequence[run_list.Run],
    network_of_run: Mapping[str, str],
    trained: Collection[str],
    current: overrides.Files,
) -> str:
    """Return the script. Networks that no finished run has trained come first, each by one run.

    Args:
        root: the repository, which all nodes see at the same path, as they see its environment and DVC's cache.
        name: name of the comparison.
        runs: at least one.
        network_of_run: name of each run -> a text that is equal for runs with the same network.
        trained: these texts of the networks of finished runs.
        current: content of the parameter files.

    Raises:
        errors.UserError: if Git cannot say what the repository has.
    """
    first, others = networks_first(runs, network_of_run, trained)
    root = root.resolve()
    with dvc.repo.Repo(str(root)) as repo:
        outputs = {pathlib.Path(out.fs_path).relative_to(root) for out in repo.index.outs if out.protocol == "local"}
        cache = repo.cache.local_cache_dir
    ordered = [*first, *others]
    commands = (shlex.join(launch.command(run, current, queue=False)) for run in ordered)
    return _TEMPLATE.read_text(encoding="utf-8").format(
        name=name,
        job=shlex.quote(name),
        n_runs=len(runs),
        n_first=len(first),
        commit=_git(root, "rev-parse", "HEAD").strip(),
        repository=shlex.quote(str(root)),
        cache=shlex.quote(str(cache)),
        bin=shlex.quote(str(pathlib.Path(sys.executable).parent)),
        links=shlex.join(_raw_data(root, outputs)),
        names=shlex.join(run.name for run in ordered),
        commands="\n".join(f"  {shlex.quote(command)}" for command in commands),
    )


def networks_first(
    runs: Sequence[run_list.Run], network_of_run: Mapping[str, str], trained: Collection[str]
) -> tuple[list[run_list.Run], list[run_list.Run]]:
    """Return the first run of every network that is not trained, and the other runs, both in the given order."""
    first = {network_of_run[run.name]: run for run in reversed(runs) if network_of_run[run.name] not in trained}
    leading = [run for run in runs if first.get(network_of_run[run.name]) is run]
    return leading, [run for run in runs if run not in leading]


def _raw_data(root: pathlib.Path, outputs: Collection[pathlib.Path]) -> list[str]:
    """Return the paths in the folder of data that neither Git nor DVC has: they are what a clone lacks.

    Args:
        root: the repository.
        outputs: all that DVC has, relative to it.
    """
    tracked = {pathlib.Path(path) for path in _git(root, "ls-files", "-z", _DATA).split("\0") if path}
    present = {*tracked, *outputs}
    # A folder with something of theirs is looked into; others are linked as a whole.
    opened = {parent for path in present for parent in path.parents}

    def lacking(path: pathlib.Path) -> Iterator[pathlib.Path]:
        if path in opened and (root / path).is_dir() and not (root / path).is_symlink():
            for child in sorted((root / path).iterdir()):
                yield from lacking(child.relative_to(root))
        elif path not in present:
            yield path

    folder = root / _DATA
    children = sorted(folder.iterdir()) if folder.is_dir() else []
    return [str(path) for child in children for path in lacking(child.relative_to(root))]


def _git(root: pathlib.Path, *words: str) -> str:
    process = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
    if process.returncode:
        raise errors.UserError(f"{root}: `git {' '.join(words)}` failed: {process.stderr.strip()}")
    return process.stdout
