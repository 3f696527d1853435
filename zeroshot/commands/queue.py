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
    slurm: pathlib.Path | None = None,
) -> None:
    """Queue the missing runs of a comparison of methods; start them with `dvc queue start --jobs 1`.

    Args:
        name: name of a comparison of presets/comparison/tables.yaml.
        method: only this method; may be given several times.
        k: only this number of unseen classes; may be given several times.
        seed: only this seed; may be given several times.
        dry_run: only print the commands.
        here: run in this workspace, one after the other, instead of queueing.
        slurm: write a job array for Slurm to this file instead of queueing; `bash` and its path submit it.
    """
    import shlex

    from zeroshot.base import errors
    from zeroshot.experiments.comparison import dvc_experiments, launch, run_status

    if here and slurm:
        raise errors.UserError("--slurm: runs on other machines, and --here in this workspace; give one of them")
    root = pathlib.Path()
    status = run_status.read(root, name, workspace=False)
    status.comparison.check(name, methods=method, ks=k, seeds=seed)
    missing = [run for run in status.missing if run.matches(method or None, k or None, seed or None)]
    runs = [run for run in missing if run.name not in status.queued]
    for unavailable, reason in status.unavailable.items():
        print(f"# {unavailable}: {reason}")
    differs = bool(runs) and dvc_experiments.workspace_differs(root)
    if differs and slurm:
        raise errors.UserError(
            "--slurm: its runs are of the last commit, from which the workspace differs; see `git status`"
        )
    if differs:
        print("# the workspace differs from the last commit, and runs use the files of the workspace: see `git status`")
    for run in runs:
        print(shlex.join(launch.command(run, status.current, queue=not here and not slurm)), flush=True)
        if not dry_run and not slurm:
            (launch.run_here if here else launch.queue)(root, run)
    print(f"# {len(runs)} runs; {len(missing) - len(runs)} already in the queue")
    if not runs or dry_run:
        return
    if slurm:
        from zeroshot.experiments.comparison import slurm as slurm_script

        networks = (status.network_of_run, status.trained)
        slurm.write_text(slurm_script.script(root, name, runs, *networks, status.current), encoding="utf-8")
        print(f"# submit them with `bash {slurm}`; options of sbatch may follow")
    elif here:
        print("# `zeroshot reset` restores the files of the commit")
    else:
        print("# start them with `dvc queue start --jobs 1`")
