"""The paper's tables from DVC's experiments: queue the runs that they lack, and write the report.

python -m zeroshot.commands.comparison queue toy --dry-run     # print what would be queued
python -m zeroshot.commands.comparison queue toy               # queue it; then: dvc queue start --jobs 1
python -m zeroshot.commands.comparison report toy              # plots/comparison/toy/report.md
dvc exp run $(python -m zeroshot.commands.comparison flags "ZS3Net, released recipe")
"""

import argparse
import pathlib
import shlex
import sys

from zeroshot.base import errors, params, storage
from zeroshot.experiments.comparison import (
    catalogue,
    comparison_report,
    dvc_experiments,
    gallery,
    launch,
    markdown_tables,
    overrides,
    published_figures,
    survey,
)

ROOT = pathlib.Path()
PRESETS = ROOT / "presets" / "comparison"
REPORTS = ROOT / "plots" / "comparison"


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run one of the three commands."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "queue":
        _queue(arguments)
    elif arguments.command == "report":
        for name in arguments.names:
            _report(name)
    else:
        print(_flags(arguments.method))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m zeroshot.commands.comparison",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    queue = commands.add_parser("queue", help="queue the runs that a comparison lacks")
    queue.add_argument("name", help="a comparison of presets/comparison/tables.yaml")
    queue.add_argument("--method", action="append", help="only this method (may be given several times)")
    queue.add_argument("--k", type=int, action="append", help="only this K (may be given several times)")
    queue.add_argument("--seed", type=int, action="append", help="only this seed (may be given several times)")
    queue.add_argument("--dry-run", action="store_true", help="print the commands, do nothing")
    queue.add_argument("--here", action="store_true", help="run in this workspace, one after the other, not queued")
    report_ = commands.add_parser("report", help="write the tables as they stand")
    report_.add_argument("names", nargs="+", metavar="name")
    flags = commands.add_parser(
        "flags", help="print the -S flags and the target that lead from params.yaml to a method"
    )
    flags.add_argument("method", help="a method of presets/comparison/methods.yaml")
    return parser


def _queue(arguments: argparse.Namespace) -> None:
    taken = _survey(arguments.name)
    _check_filters(arguments, taken.comparison)
    wanted = [run for run in taken.missing if run.serves(arguments.method, arguments.k, arguments.seed)]
    runs = [run for run in wanted if run.name not in taken.waiting]
    for name, reason in taken.unavailable.items():
        print(f"# {name}: {reason}")
    if runs and dvc_experiments.workspace_differs(ROOT):
        print("# the workspace differs from the last commit, and runs start from the workspace: see `git status`")
    for run in runs:
        print(shlex.join(launch.command(run, taken.current, queue=not arguments.here)), flush=True)
        if not arguments.dry_run:
            (launch.here if arguments.here else launch.queue)(ROOT, run)
    print(f"# {len(runs)} runs; {len(wanted) - len(runs)} were in the queue already")
    if runs and not arguments.dry_run:
        back = "`git checkout . && dvc checkout` goes back to the commit"
        print(f"# {back if arguments.here else 'start them with `dvc queue start --jobs 1`'}")


def _check_filters(arguments: argparse.Namespace, comparison: catalogue.Comparison) -> None:
    """Refuse a method, K or seed that the comparison does not have: no run would match, as if all were done."""
    known = {"method": comparison.methods, "k": list(comparison.splits), "seed": comparison.seeds}
    for flag, there in known.items():
        for value in getattr(arguments, flag) or ():
            if value not in there:
                listed = ", ".join(f"`{one}`" for one in there)
                raise errors.UserError(f"--{flag}: {arguments.name} has no `{value}`; there are: {listed}")


def _survey(name: str) -> survey.Survey:
    print("# asking DVC for its experiments", file=sys.stderr, flush=True)
    return survey.take(ROOT, PRESETS, name)


def _report(name: str) -> None:
    taken = _survey(name)
    folder = REPORTS / name
    printed = published_figures.read(PRESETS / "published.csv", taken.comparison.published)
    board = markdown_tables.Board(taken.comparison, taken.methods, taken.results, printed)
    strips = gallery.fetch(ROOT, board, folder / "pictures")
    made = comparison_report.make(taken, board, strips, folder, f"python -m zeroshot.commands.comparison report {name}")
    storage.write_csv(folder / "runs.csv", markdown_tables.run_rows(board), markdown_tables.RUN_COLUMNS)
    storage.write_text(folder / "report.md", made.text)
    if made.curve is not None:
        storage.write_text(folder / "curve.svg", made.curve)
    print(f"{folder / 'report.md'}: {len(taken.results)} results, {len(taken.missing)} runs missing")


def _flags(name: str) -> str:
    methods = catalogue.methods(PRESETS)
    method = catalogue.pick(methods, name, f"{PRESETS / 'methods.yaml'}: no method")
    current = params.read(ROOT / "params.yaml")
    # Without quotation marks, which a shell would hand on as they are when it puts this in place of $(...).
    words = [f"-S {flag}" for flag in overrides.flags(current, overrides.merged(current, method.set))]
    return " ".join([*words, *([method.target] if method.target else [])])


if __name__ == "__main__":
    main()
