"""One comparison as a Markdown report."""

import collections
import dataclasses
import os
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas

from zeroshot.base import storage
from zeroshot.evaluation import bootstrap
from zeroshot.experiments.comparison import (
    catalogue,
    curve,
    dvc_experiments,
    gallery,
    launch,
    markdown_tables,
    published_results,
    run_list,
    run_status,
    scored_images,
)
from zeroshot.networks import pretraining

_PUBLISHED = (
    "Results of other authors, also in the columns *published* above. Their networks differ and, where this comparison uses only a part of"
    " a data set, their images too."
)

_DIFFERENCES = (
    "Of the means over the seeds that both methods have, on the same evaluation images, with the 95 % interval over"
    f" {bootstrap.RESAMPLES:,} resampled sets of these images (percentile bootstrap, paired)."
    " *Above* or *below* needs an interval without 0. *Vanilla*: the mIoU of unseen classes where they alone compete."
)


# Method, K and swept value.
_Row = tuple[str, int, Any]


@dataclasses.dataclass(frozen=True)
class Report:
    """The text in Markdown, and the curve that it shows, as SVG (None if there is no curve)."""

    text: str
    curve: str | None


def write(status: run_status.RunStatus, command: str) -> pathlib.Path:
    """Write the report of a comparison, its curve, example images and a table of all runs; return the path of the report.

    Args:
        status: the comparison, its results and its missing runs.
        command: the command that writes this report.
    """
    folder = status.root / "plots" / "comparison" / status.name
    published = published_results.read(status.root / catalogue.FOLDER / "published.csv", status.comparison.published)
    data = markdown_tables.TableData(status.comparison, status.methods, status.results, published)
    rows = [(method, k, None) for method in status.comparison.methods for k in status.comparison.splits]
    if sweep := status.comparison.sweep:
        rows += [(method, sweep.k, value) for method in sweep.methods for value in sweep.values]
    scored, vanilla = {}, {}
    for row in rows:
        method, runs = status.methods[row[0]], data.runs(*row)
        scored[row] = scored_images.read(status.root, method, runs)
        vanilla[row] = scored_images.read_vanilla(status.root, method, runs)
    data = dataclasses.replace(data, scored=_at_hand(scored), vanilla=_at_hand(vanilla))
    report = make(status, data, gallery.fetch(status.root, data, folder / "pictures"), folder, command)
    runs = pandas.DataFrame(markdown_tables.run_rows(data), columns=list(markdown_tables.RUN_COLUMNS))
    storage.write_text(folder / "runs.csv", runs.to_csv(index=False))
    storage.write_text(folder / "report.md", report.text)
    if report.curve is not None:
        storage.write_text(folder / "curve.svg", report.curve)
    return folder / "report.md"


def _at_hand(scored: Mapping[_Row, bootstrap.Scored | None]) -> dict[_Row, bootstrap.Scored]:
    return {row: runs for row, runs in scored.items() if runs is not None}


def make(
    status: run_status.RunStatus,
    data: markdown_tables.TableData,
    examples: Sequence[gallery.ExampleImages],
    folder: pathlib.Path,
    command: str,
) -> Report:
    """Return the report of a comparison.

    Args:
        status: the comparison, its results and its missing runs.
        data: the content of the tables.
        examples: example images of the methods.
        folder: folder of the report; links are relative to it.
        command: the command that writes this report.
    """
    svg = curve.draw(data)
    parts = [
        f"# {status.comparison.title}",
        _origin(status, command),
        *(f"## {table.title}\n\n{markdown_tables.main_table(data, table)}" for table in status.comparison.tables),
        _notes(status, data),
        f"## Differences\n\n{_DIFFERENCES}\n\n{markdown_tables.differences(data)}"
        if status.comparison.differences
        else "",
        f"## Generalised and vanilla evaluation, mIoU of unseen classes\n\n{markdown_tables.protocols(data)}",
        _curve(data, svg),
        _example_images(status, examples, folder),
        f"## As published\n\n{_PUBLISHED}\n\n{markdown_tables.published_table(data)}" if data.published else "",
        _missing(status),
    ]
    return Report("\n\n".join(part for part in parts if part) + "\n", svg)


def _origin(status: run_status.RunStatus, command: str) -> str:
    """Return how to read the metrics, and the commits and code that they come from."""
    used = {result.experiment.rev: result for result in status.results.values()}
    starts = collections.Counter(result.experiment.baseline[:7] for result in used.values())
    changed = {rev: result.changed for rev, result in used.items() if result.changed}
    lines = [
        f"Made by `{command}` at commit {dvc_experiments.commit(status.root)} from DVC's experiments."
        " Per cent; mean ± sample standard deviation (n - 1) over n runs with different seeds."
        " Where no seed has an effect, there is one run for all seeds. — marks missing runs."
        " In brackets: the 95 % interval over resampled evaluation images, for the mean over seeds."
        " The background is a seen class. The metrics of every run are in runs.csv.",
        f"Experiments used: {len(used)}"
        + "".join(f"; {count} from commit {name}" for name, count in sorted(starts.items()))
        + f". Left out: {len(status.unused)} with other parameters, {status.failed} failed.",
    ]
    used_encoders = {result.pretraining for result in status.results.values()}
    lines += [sentence for kind, sentence in pretraining.SENTENCES.items() if kind in used_encoders]
    if status.comparison.set:
        settings = ", ".join(f"`{key}={value}`" for key, value in status.comparison.set.items())
        lines.append(f"Every run has {settings}.")
    if changed:
        files = sorted({path for paths in changed.values() for path in paths})
        lines.append(f"**{len(changed)} of them ran with code that has changed since:** {', '.join(files)}.")
    return "\n\n".join(lines)


def _notes(status: run_status.RunStatus, data: markdown_tables.TableData) -> str:
    methods = [(name, status.methods[name]) for name in status.comparison.methods]
    lines = [f"* **{data.marked(name)}** ({method.model}): {method.note}" for name, method in methods]
    if any(method.reads_unseen for _, method in methods):
        lines.append(f"\n{markdown_tables.READS_UNSEEN} reads labels of unseen classes, so it is no zero-shot method.")
    return "\n".join(lines)


def _curve(data: markdown_tables.TableData, svg: str | None) -> str:
    sweep = data.comparison.sweep
    if sweep is None:
        return ""
    what = f"{', '.join(sweep.methods)} against {sweep.parameter}"
    parts = [f"## {what}, K = {sweep.k}", f"![{what}](curve.svg)" if svg else "Not run yet."]
    if svg:
        parts.append(markdown_tables.swept_table(data, sweep))
    if svg and markdown_tables.swept_pairs(data.comparison, sweep):
        parts.append(markdown_tables.swept_differences(data, sweep))
    return "\n\n".join(parts)


def _example_images(
    status: run_status.RunStatus, examples: Sequence[gallery.ExampleImages], folder: pathlib.Path
) -> str:
    """Return the images of each run under its methods; an image also shows the other models of the run."""
    lines = [f"## Example images, K = {status.comparison.pictures_at}"]
    for example in examples:
        links = [
            f"![{path.stem}]({pathlib.PurePath(os.path.relpath(path, folder)).as_posix()})" for path in example.paths
        ]
        lines += [f"**{'; '.join(example.methods)}** ({example.experiment.name})", *(links or ["No images."])]
    return "\n\n".join(lines) if any(example.paths for example in examples) else ""


def _missing(status: run_status.RunStatus) -> str:
    lines = []
    if status.unavailable:
        lines += ["## Methods that cannot run", ""]
        lines += [f"* {name}: {reason}" for name, reason in status.unavailable.items()]
        lines.append("")
    if status.missing:
        lines += [
            "## Missing runs",
            "",
            f"`zeroshot queue {status.name}` queues those that are not in the queue yet. {_estimate(status)}",
            "",
            "```sh",
        ]
        lines += [_line(status, run) for run in status.missing]
        lines.append("```")
    return "\n".join(lines).strip()


def _estimate(status: run_status.RunStatus) -> str:
    """Return how long the missing runs take, from the hours of one in tables.yaml."""
    hours = status.comparison.hours
    n_runs, n_networks = len(status.missing), status.n_networks
    if hours is None:
        return "tables.yaml has no `hours` to estimate how long they take."
    total = n_networks * hours.network + n_runs * hours.rest
    return (
        f"They take about {total:.1f} hours: {n_networks} networks of {hours.network:g} hours and {n_runs} runs of"
        f" {hours.rest:g} hours (`hours` in tables.yaml, on two CPU cores)."
    )


def _line(status: run_status.RunStatus, run: run_list.Run) -> str:
    mark = "  # in the queue" if run.name in status.queued else ""
    return shlex.join(launch.command(run, status.current)) + mark
