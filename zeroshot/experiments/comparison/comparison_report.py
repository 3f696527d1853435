"""One comparison as a Markdown report."""

import collections
import dataclasses
import os
import pathlib
import shlex
from collections.abc import Sequence

from zeroshot.base import storage
from zeroshot.experiments.comparison import (
    catalogue,
    curve,
    dvc_experiments,
    gallery,
    launch,
    markdown_tables,
    published_figures,
    run_list,
    survey,
)

_PUBLISHED = (
    "Others' figures, also in the columns headed *published* above: of other networks and, where a data set is here only in part, of"
    " other images."
)


@dataclasses.dataclass(frozen=True)
class Report:
    """The text, and the SVG picture that it shows beside it (None if there is nothing to draw yet)."""

    text: str
    curve: str | None


def write(taken: survey.Survey, command: str) -> pathlib.Path:
    """Write the report of a comparison, its curve, its pictures and a table of all runs; return the path of the report.

    Args:
        taken: the comparison and what has been run for it.
        command: what makes this report.
    """
    folder = taken.root / "plots" / "comparison" / taken.name
    printed = published_figures.read(taken.root / catalogue.FOLDER / "published.csv", taken.comparison.published)
    board = markdown_tables.Board(taken.comparison, taken.methods, taken.results, printed)
    report = make(taken, board, gallery.fetch(taken.root, board, folder / "pictures"), folder, command)
    storage.write_csv(folder / "runs.csv", markdown_tables.run_rows(board), markdown_tables.RUN_COLUMNS)
    storage.write_text(folder / "report.md", report.text)
    if report.curve is not None:
        storage.write_text(folder / "curve.svg", report.curve)
    return folder / "report.md"


def make(
    taken: survey.Survey,
    board: markdown_tables.Board,
    strips: Sequence[gallery.Strip],
    folder: pathlib.Path,
    command: str,
) -> Report:
    """Write the report of a comparison.

    Args:
        taken: the comparison and what has been run for it.
        board: what its tables are filled from.
        strips: pictures of its methods.
        folder: where the report will lie, for links to them.
        command: what makes this report.
    """
    drawn = curve.draw(board)
    parts = [
        f"# {taken.comparison.title}",
        _origin(taken, command),
        *(f"## {table.title}\n\n{markdown_tables.figures(board, table)}" for table in taken.comparison.tables),
        _notes(taken),
        f"## Generalised and vanilla evaluation, mIoU of unseen classes, K = {taken.comparison.protocols_at}"
        f"\n\n{markdown_tables.protocols(board)}",
        _curve(taken, drawn),
        _pictures(taken, strips, folder),
        f"## As published\n\n{_PUBLISHED}\n\n{markdown_tables.printed(board)}" if board.printed else "",
        _missing(taken),
    ]
    return Report("\n\n".join(part for part in parts if part) + "\n", drawn)


def _origin(taken: survey.Survey, command: str) -> str:
    """Say what the figures are, and from which commits and code."""
    used = {result.experiment.rev: result for result in taken.results.values()}
    starts = collections.Counter(result.experiment.baseline[:7] for result in used.values())
    changed = {rev: result.changed for rev, result in used.items() if result.changed}
    lines = [
        f"Made by `{command}` at commit {dvc_experiments.commit(taken.root)} from DVC's experiments."
        " Per cent; mean ± standard deviation over n runs with different seeds"
        " (sample, n - 1; one run stands for all seeds where none plays a part); — stands for what has not been"
        " run. The background is a seen class. Every run's figures are in runs.csv.",
        f"Experiments used: {len(used)}"
        + "".join(f"; {count} from commit {name}" for name, count in sorted(starts.items()))
        + f". Left out: {len(taken.other)} with other parameters, {taken.failed} failed.",
    ]
    if taken.comparison.set:
        held = ", ".join(f"`{key}={value}`" for key, value in taken.comparison.set.items())
        lines.append(f"Every run has {held}.")
    if changed:
        files = sorted({path for paths in changed.values() for path in paths})
        lines.append(f"**{len(changed)} of them ran with other code than the present:** {', '.join(files)}.")
    return "\n\n".join(lines)


def _notes(taken: survey.Survey) -> str:
    notes = {name: taken.methods[name].note for name in taken.comparison.methods}
    return "\n".join(f"* **{name}** ({taken.methods[name].model}): {note}" for name, note in notes.items())


def _curve(taken: survey.Survey, drawn: str | None) -> str:
    sweep = taken.comparison.sweep
    if sweep is None:
        return ""
    shown = f"![{sweep.method} against {sweep.parameter}](curve.svg)" if drawn else "Not run yet."
    return f"## {sweep.method} against {sweep.parameter}, K = {sweep.k}\n\n{shown}"


def _pictures(taken: survey.Survey, strips: Sequence[gallery.Strip], folder: pathlib.Path) -> str:
    """Embed the pictures under the methods that they are of; a picture shows the other models of its run, too."""
    lines = [f"## Pictures, K = {taken.comparison.protocols_at}"]
    for strip in strips:
        links = [
            f"![{path.stem}]({pathlib.PurePath(os.path.relpath(path, folder)).as_posix()})" for path in strip.paths
        ]
        lines += [f"**{'; '.join(strip.methods)}** ({strip.experiment.name})", *(links or ["Not drawn."])]
    return "\n\n".join(lines) if any(strip.paths for strip in strips) else ""


def _missing(taken: survey.Survey) -> str:
    lines = []
    if taken.unavailable:
        lines += ["## Not in this pipeline", ""]
        lines += [f"* {name}: {reason}" for name, reason in taken.unavailable.items()]
        lines.append("")
    if taken.missing:
        lines += [
            "## Missing runs",
            "",
            f"`zeroshot queue {taken.name}` queues all that are not queued yet.",
            "",
            "```sh",
        ]
        lines += [_line(taken, run) for run in taken.missing]
        lines.append("```")
    return "\n".join(lines).strip()


def _line(taken: survey.Survey, run: run_list.Run) -> str:
    mark = "  # in the queue" if run.name in taken.waiting else ""
    return shlex.join(launch.command(run, taken.current)) + mark
