"""Going back to the last commit: tracked files by their content, then DVC's outputs from the cache."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from zeroshot.base import errors

# What runs write, of every pipeline.
_FILES = ("params.yaml", "dvc.lock")
_FOLDERS = ("metrics", "plots")


@dataclasses.dataclass(frozen=True)
class Changes:
    """Tracked files that differ from the last commit, as paths relative to the repository.

    Attributes:
        of_runs: files params.yaml and dvc.lock, and what is in metrics/ and plots/.
        others: all others, such as code.
    """

    of_runs: tuple[str, ...]
    others: tuple[str, ...]


def changes(root: pathlib.Path) -> Changes:
    """Return the tracked files of the repository at `root` whose content, or whose version in Git's index, is not that of the last commit.

    Git itself compares times and sizes first, and may take a file for unchanged that a killed run has changed. Here an empty index without
    such data makes it read every file.

    Raises:
        errors.UserError: if Git fails, for example because there is no commit; with its message.
    """
    with tempfile.TemporaryDirectory() as folder:
        fresh = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
        _git(root, "read-tree", "HEAD", variables=fresh)
        # This reads every file; its status says only that some differ.
        _git(root, "update-index", "-q", "--refresh", variables=fresh, check=False)
        by_content = _git(root, "diff-files", "--relative", "--name-only", "-z", variables=fresh)
    staged = _git(root, "diff-index", "--cached", "--relative", "--name-only", "-z", "HEAD")
    paths = sorted({path for path in (by_content + staged).split("\0") if path})
    return Changes(tuple(filter(_is_of_runs, paths)), tuple(path for path in paths if not _is_of_runs(path)))


def restore(root: pathlib.Path, paths: Sequence[str]) -> str:
    """Restore `paths` from the last commit, in the folder and in Git's index, then all outputs of DVC from its cache.

    Returns what DVC says: a line for each output that it added (A), modified (M) or deleted (D).

    Of the files in the index that the last commit does not have, those of runs are removed; others leave the index and stay. Outputs that
    the cache lacks are removed, and a run makes them again.

    Raises:
        errors.UserError: if Git or DVC fails; with its message.
    """
    committed = set(_git(root, "ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0"))
    old = [path for path in paths if path in committed]
    new = [path for path in paths if path not in committed]
    # Git skips a file that it takes for unchanged, but not one that is missing.
    for path in [*old, *filter(_is_of_runs, new)]:
        (root / path).unlink(missing_ok=True)
    _git_restore(root, old, "--staged", "--worktree")
    _git_restore(root, new, "--staged")
    # Without --force, DVC asks before it replaces what a killed stage left.
    return _output(root, [sys.executable, "-m", "dvc", "checkout", "--force", "--allow-missing"])


def missing(root: pathlib.Path) -> tuple[str, ...]:
    """Return the outputs of DVC, as paths relative to the repository, that `restore` could not restore, since the cache lacks them.

    Raises:
        errors.UserError: if DVC fails; with its message.
    """
    status = _status(root)
    # An output that is in the folder as committed is missing in the cache only.
    return tuple(sorted(changed_outputs(status, "uncommitted") & set(status.get("not_in_cache", []))))


def differing(root: pathlib.Path) -> tuple[str, ...]:
    """Return the outputs of DVC, as paths relative to the repository, that are missing, changed or added since the last commit.

    Raises:
        errors.UserError: if DVC fails; with its message.
    """
    status = _status(root)
    return tuple(sorted(changed_outputs(status, "committed") | changed_outputs(status, "uncommitted")))


def changed_outputs(status: dict[str, Any], since: str) -> set[str]:
    """Return the paths of one part of what `dvc data status` says.

    Args:
        status: its JSON.
        since: `committed`, what differs between the last commit and the lock files; or `uncommitted`, between those and the folder.
    """
    paths = [path for of_kind in status.get(since, {}).values() for path in of_kind]
    # A renamed output is a pair of names.
    return {name for path in paths for name in (path.values() if isinstance(path, dict) else [path])}


def _status(root: pathlib.Path) -> dict[str, Any]:
    return json.loads(_output(root, [sys.executable, "-m", "dvc", "data", "status", "--json"]))


def _is_of_runs(path: str) -> bool:
    parts = pathlib.PurePosixPath(path).parts
    return parts[-1] in _FILES or parts[0] in _FOLDERS


def _git_restore(root: pathlib.Path, paths: Sequence[str], *flags: str) -> None:
    if paths:
        files = ["--pathspec-from-file=-", "--pathspec-file-nul"]
        _git(root, "--literal-pathspecs", "restore", "--source=HEAD", *flags, *files, text="\0".join(paths))


def _git(
    root: pathlib.Path, *words: str, variables: dict[str, str] | None = None, text: str = "", check: bool = True
) -> str:
    return _output(root, ["git", *words], variables, text, check)


def _output(
    root: pathlib.Path,
    words: Sequence[str],
    variables: dict[str, str] | None = None,
    text: str = "",
    check: bool = True,
) -> str:
    environment = {**os.environ, **(variables or {})}
    process = subprocess.run(words, cwd=root, env=environment, input=text, capture_output=True, text=True)
    if check and process.returncode:
        raise errors.UserError(f"`{' '.join(words)}` failed: {process.stderr.strip()}")
    return process.stdout
