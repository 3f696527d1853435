"""Queue the runs that a comparison of methods lacks."""

import pathlib
from typing import Annotated

import tyro


def main(
    name: tyro.conf.Positional[str],
    *,
    method: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    k: Annotated[tuple[int, ...], tyro.conf.UseAppendAction] = (),
    seed: Annotated[tuple[int, ...], tyro.conf.UseAppendAction] = (),
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    here: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Queue the runs that a comparison of methods lacks; start them with `dvc queue start --jobs 1`.

    Args:
        name: a comparison of presets/comparison/tables.yaml.
        method: only this method; may be given several times.
        k: only this number of unseen classes; may be given several times.
        seed: only this seed; may be given several times.
        dry_run: print the commands, do nothing.
        here: run in this workspace, one after the other, instead of queueing.
    """
    import shlex

    from zeroshot.experiments.comparison import dvc_experiments, launch, survey

    root = pathlib.Path()
    found = survey.take(root, name)
    found.comparison.check(name, methods=method, ks=k, seeds=seed)
    missing = [run for run in found.missing if run.serves(method or None, k or None, seed or None)]
    runs = [run for run in missing if run.name not in found.waiting]
    for unavailable, reason in found.unavailable.items():
        print(f"# {unavailable}: {reason}")
    if runs and dvc_experiments.workspace_differs(root):
        print("# the workspace differs from the last commit, and runs start from the workspace: see `git status`")
    for run in runs:
        print(shlex.join(launch.command(run, found.current, queue=not here)), flush=True)
        if not dry_run:
            (launch.here if here else launch.queue)(root, run)
    print(f"# {len(runs)} runs; {len(missing) - len(runs)} were in the queue already")
    if runs and not dry_run:
        back = "`git restore --staged --worktree . && dvc checkout --allow-missing` goes back to the commit"
        print(f"# {back if here else 'start them with `dvc queue start --jobs 1`'}")
