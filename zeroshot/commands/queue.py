"""Queue the missing runs of a comparison of methods."""

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
    """Queue the missing runs of a comparison of methods; start them with `dvc queue start --jobs 1`.

    Args:
        name: name of a comparison of presets/comparison/tables.yaml.
        method: only this method; may be given several times.
        k: only this number of unseen classes; may be given several times.
        seed: only this seed; may be given several times.
        dry_run: only print the commands.
        here: run in this workspace, one after the other, instead of queueing.
    """
    import shlex

    from zeroshot.experiments.comparison import dvc_experiments, launch, run_status

    root = pathlib.Path()
    status = run_status.read(root, name, workspace=False)
    status.comparison.check(name, methods=method, ks=k, seeds=seed)
    missing = [run for run in status.missing if run.matches(method or None, k or None, seed or None)]
    runs = [run for run in missing if run.name not in status.queued]
    for unavailable, reason in status.unavailable.items():
        print(f"# {unavailable}: {reason}")
    if runs and dvc_experiments.workspace_differs(root):
        print("# the workspace differs from the last commit, and runs use the files of the workspace: see `git status`")
    for run in runs:
        print(shlex.join(launch.command(run, status.current, queue=not here)), flush=True)
        if not dry_run:
            (launch.run_here if here else launch.queue)(root, run)
    print(f"# {len(runs)} runs; {len(missing) - len(runs)} already in the queue")
    if runs and not dry_run:
        restore = "`zeroshot reset` restores the files of the commit"
        print(f"# {restore if here else 'start them with `dvc queue start --jobs 1`'}")
