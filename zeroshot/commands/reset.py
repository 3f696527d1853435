"""Go back to the last commit: undo what runs changed."""

import pathlib
from collections.abc import Sequence
from typing import Annotated

import tyro

# How many outputs a line names.
_NAMED = 3


def main(
    *,
    all: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,  # noqa: A002
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Go back to the last commit: restore parameters, locks, metrics/ and plots/ from Git, and artefacts from DVC's cache.

    What differs is found by reading the files, because a run that was killed may leave files that Git takes for unchanged. Without `--all`,
    nothing is undone if other tracked files are changed too, such as code. A last line counts the outputs that the cache lacks.

    Args:
        all: undo the changes of all tracked files, also of code.
        dry_run: only print what would be undone.
    """
    from zeroshot.base import errors
    from zeroshot.experiments import going_back

    root = pathlib.Path()
    changes = going_back.changes(root)
    if changes.others and not all:
        raise errors.UserError(
            f"nothing is undone, because other files differ from the last commit too: {', '.join(changes.others)};"
            " commit them, or undo them too with `zeroshot reset --all`"
        )
    paths = [*changes.of_runs, *changes.others]
    for path in paths:
        print(f"undo the changes of {path}", flush=True)
    print("restore DVC's outputs of the last commit from its cache, which keeps those of now", flush=True)
    if dry_run:
        print(f"outputs of DVC that are missing, changed or added since then: {_listed(going_back.differing(root))}")
        return
    restored = going_back.restore(root, paths)
    print(f"restored (A added, M modified, D deleted):\n{restored}" if restored else "no output differed\n", end="")
    missing = going_back.missing(root)
    if missing:
        print(
            f"missing outputs, which DVC's cache lacks: {_listed(missing)}; make them with `dvc repro`, those of SZN and ZSI with"
            " `dvc repro szn/dvc.yaml` and `dvc repro zsi/dvc.yaml`, or fetch all from a remote with `dvc pull`"
        )


def _listed(paths: Sequence[str]) -> str:
    """Return the number of paths, with the first of them."""
    named = ", ".join(paths[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")
    return f"{len(paths)} ({named})" if paths else "0"
