"""The paper's tables in Markdown, with mean and standard deviation over seeds."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas

from zeroshot.evaluation import bootstrap
from zeroshot.experiments.comparison import catalogue, collect, overrides, published_results

MISSING = "—"
# Mark of a method that reads labels of unseen classes.
READS_UNSEEN = "†"
_TITLES = {"seen": "Seen", "unseen": "Unseen", "all": "Overall", "vanilla": "Vanilla"}
_DIFFERENCE = (
    "Model",
    "Compared with",
    "Seeds",
    "hIoU difference",
    "95 %",
    "So it is",
    "Seeds",
    "Vanilla difference",
    "95 %",
    "So it is",
)
_PUBLISHED_COLUMNS = ("seen.mIoU", "unseen.mIoU", "hIoU")
RUN_COLUMNS = (
    *("method", "k", "seed", "swept"),
    *collect.COLUMNS,
    collect.VANILLA,
    *("experiment", "started_from", "code"),
)


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1; None for one value)."""

    mean: float
    deviation: float | None


def spread(values: Iterable[float | None]) -> Spread | None:
    """Return mean and standard deviation of the values that are not None; None if there are none."""
    known = pandas.Series(list(values), dtype=float).dropna()
    if known.empty:
        return None
    return Spread(float(known.mean()), float(known.std()) if len(known) > 1 else None)


@dataclasses.dataclass(frozen=True)
class TableData:
    """The content of all tables of one comparison.

    Attributes:
        comparison: the comparison.
        methods: by name.
        results: by method, K, seed and swept value.
        published: the published rows of the dataset.
        scored: the runs by method, K and swept value, image by image; without those whose images are not at hand.
        vanilla: the same in the vanilla protocol, from `scored_images.read_vanilla`.
    """

    comparison: catalogue.Comparison
    methods: dict[str, catalogue.Method]
    results: dict[tuple[str, int, int, Any], collect.Result]
    published: Sequence[published_results.Published]
    scored: Mapping[tuple[str, int, Any], bootstrap.Scored] = dataclasses.field(default_factory=dict)
    vanilla: Mapping[tuple[str, int, Any], bootstrap.Scored] = dataclasses.field(default_factory=dict)

    def runs(self, method: str, k: int, swept: Any = None, seeds: Sequence[int] | None = None) -> list[collect.Result]:
        """Return the results of a method in the order of the seeds; a run that serves several seeds is listed once.

        Without `seeds`, the seeds are those of the comparison at this K.
        """
        seeds = self.comparison.seeds_at(k) if seeds is None else seeds
        results = [self.results.get((method, k, seed, swept)) for seed in seeds]
        return list({result.experiment.rev: result for result in results if result is not None}.values())

    def shared_seeds(self, method: str, other: str, k: int, column: str, swept: Any = None) -> list[int]:
        """Return the seeds for which both methods have a value in a column: differences are taken over these alone."""

        def has_value(name: str, seed: int) -> bool:
            result = self.results.get((name, k, seed, swept))
            return result is not None and result.metrics[column] is not None

        return [seed for seed in self.comparison.seeds_at(k) if has_value(method, seed) and has_value(other, seed)]

    def n_missing_runs(self, method: str, k: int, swept: Any = None) -> int:
        """Return the number of seeds for which a method has no result."""
        return sum((method, k, seed, swept) not in self.results for seed in self.comparison.seeds_at(k))

    def spread(self, method: str, k: int, column: str, swept: Any = None) -> Spread | None:
        """Return mean and standard deviation of one column over the runs; None if no run has a value."""
        return spread(result.metrics[column] for result in self.runs(method, k, swept))

    def interval(self, method: str, k: int, column: str) -> bootstrap.Interval | None:
        """Return the interval over evaluation images of hIoU or `collect.VANILLA`; None if images are not at hand."""
        scored = self._images(column).get((method, k, None))
        return None if scored is None else bootstrap.interval(scored)

    def difference(self, method: str, other: str, k: int, column: str, swept: Any = None) -> float | None:
        """Return the difference of the means of one column over the shared seeds of two methods; None if one has no value there."""
        seeds = self.shared_seeds(method, other, k, column, swept)
        means = [spread(run.metrics[column] for run in self.runs(name, k, swept, seeds)) for name in (method, other)]
        return None if means[0] is None or means[1] is None else means[0].mean - means[1].mean

    def difference_interval(
        self, method: str, other: str, k: int, column: str, swept: Any = None
    ) -> bootstrap.Interval | None:
        """Return the interval of the paired `difference` in hIoU or `collect.VANILLA`; None if images are not at hand."""
        seeds = self.shared_seeds(method, other, k, column, swept)
        scored, compared = (self._scored(name, k, column, swept, seeds) for name in (method, other))
        return None if scored is None or compared is None else bootstrap.interval(scored, compared)

    def _scored(self, method: str, k: int, column: str, swept: Any, seeds: Sequence[int]) -> bootstrap.Scored | None:
        """Return the images of the runs of some seeds; None if there is no run, or if images are not at hand."""
        scored = self._images(column).get((method, k, swept))
        chosen = {run.experiment.rev for run in self.runs(method, k, swept, seeds)}
        if scored is None or not chosen:
            return None
        # The counts are in the order of the runs of all seeds.
        runs = zip(self.runs(method, k, swept), scored.counts, strict=True)
        return dataclasses.replace(scored, counts=[counts for run, counts in runs if run.experiment.rev in chosen])

    def _images(self, column: str) -> Mapping[tuple[str, int, Any], bootstrap.Scored]:
        return {"hIoU": self.scored, collect.VANILLA: self.vanilla}[column]

    def published_metrics(self, method: str, k: int | None) -> dict[str, float]:
        """Return the published metrics of a method at a K, by column; {} if nothing is published."""
        rows = [row.metrics for row in self.published if (row.method, row.k) == (method, k)]
        return rows[0] if rows else {}

    def is_independent_of_k(self, method: str) -> bool:
        """Return whether a method has the same result at every K, because it sets all keys of its files that the splits set."""
        chosen = self.methods[method]
        keys = {key for changes in self.comparison.splits.values() for key in changes}
        return chosen.set.keys() >= set(overrides.of_files(keys, chosen.parameter_files))

    def marked(self, method: str) -> str:
        """Return the name of a method, with a mark if it reads labels of unseen classes."""
        return f"{method} {READS_UNSEEN}" if self.methods[method].reads_unseen else method


def main_table(data: TableData, table: catalogue.Table) -> str:
    """Return a table in the layout of the paper's Tables 1, 3 and 4: a row for each K and model; published metrics in the last columns."""
    head = ["K", "Model", "n", *map(title, collect.COLUMNS), f"{title(collect.VANILLA)} unseen"]
    if data.published:
        head += [f"*published:* {title(column)}" for column in _PUBLISHED_COLUMNS]
    ks = list(data.comparison.splits)
    rows = [_row(data, method, ks[0], None) for method in table.methods if data.is_independent_of_k(method)]
    methods = [method for method in table.methods if not data.is_independent_of_k(method)]
    for k in ks:
        rows += [_row(data, method, k, k if method == methods[0] else None) for method in methods]
    return markdown(head, rows)


def _row(data: TableData, method: str, k: int, label: int | None) -> list[str]:
    spreads = [data.spread(method, k, column) for column in collect.COLUMNS]
    row = ["" if label is None else str(label), data.marked(method), _runs(data, method, k), *map(cell, spreads)]
    row[-1] += _brackets(data, method, k, "hIoU")
    row.append(cell(data.spread(method, k, collect.VANILLA)) + _brackets(data, method, k, collect.VANILLA))
    if data.published:
        published = data.published_metrics(method, None if data.is_independent_of_k(method) else k)
        row += [number(published.get(column)) for column in _PUBLISHED_COLUMNS]
    return row


def _brackets(data: TableData, method: str, k: int, column: str) -> str:
    """Return the interval of a cell as text after its mean; empty if there is no mean, or images are not at hand."""
    interval = data.interval(method, k, column)
    return "" if interval is None or data.spread(method, k, column) is None else f" {bounds(interval)}"


def differences(data: TableData) -> str:
    """Return a table of the differences of `data.comparison.differences`, with intervals over evaluation images.

    It has those of hIoU, and those of the mIoU of unseen classes in the vanilla protocol.
    """
    rows = [
        ["" if position else str(k), *_difference(data, method, other, k)]
        for k in data.comparison.splits
        for position, (method, other) in enumerate(data.comparison.differences)
    ]
    return markdown(["K", *_DIFFERENCE], rows)


def swept_differences(data: TableData, sweep: catalogue.Sweep) -> str:
    """Return the table of `differences` at the values of a sweep: of those pairs whose methods both have a curve."""
    pairs = swept_pairs(data.comparison, sweep)
    rows = [
        ["" if position else str(value), *_difference(data, method, other, sweep.k, value)]
        for value in sweep.values
        for position, (method, other) in enumerate(pairs)
    ]
    return markdown([f"`{sweep.parameter}`", *_DIFFERENCE], rows)


def swept_pairs(comparison: catalogue.Comparison, sweep: catalogue.Sweep) -> list[tuple[str, str]]:
    """Return the pairs of `comparison.differences` whose methods both have a curve."""
    return [pair for pair in comparison.differences if set(pair) <= set(sweep.methods)]


def _difference(data: TableData, method: str, other: str, k: int, swept: Any = None) -> list[str]:
    row = [data.marked(method), data.marked(other)]
    for column in ("hIoU", collect.VANILLA):
        n_shared = len(data.shared_seeds(method, other, k, column, swept))
        row.append(_of(n_shared, len(data.comparison.seeds_at(k))))
        difference = data.difference(method, other, k, column, swept)
        if difference is None:
            row += [MISSING, MISSING, ""]
            continue
        interval = data.difference_interval(method, other, k, column, swept)
        shown = [MISSING, ""] if interval is None else [bounds(interval), _verdict(interval)]
        row += [f"{difference:+.1f}", *shown]
    return row


def swept_table(data: TableData, sweep: catalogue.Sweep) -> str:
    """Return a table with a row for each value of a sweep and method: the metrics of the curves, and vanilla evaluation."""
    columns = ("seen.mIoU", "unseen.mIoU", "hIoU", collect.VANILLA)
    rows = []
    for value in sweep.values:
        for position, method in enumerate(sweep.methods):
            row = ["" if position else str(value), data.marked(method), _runs(data, method, sweep.k, value)]
            row += [cell(data.spread(method, sweep.k, column, value)) for column in columns]
            rows.append(row)
    return markdown([f"`{sweep.parameter}`", "Model", "n", *map(title, columns)], rows)


def _verdict(interval: bootstrap.Interval) -> str:
    if not interval.excludes_zero:
        return "not separable"
    return "above" if interval.low > 0 else "below"


def protocols(data: TableData) -> str:
    """Return a table in the layout of the paper's Table 2: mIoU of unseen classes, generalised and vanilla, at every K."""
    head = ["K", "Model", "n", "Generalised", "Vanilla"]
    columns = ("unseen.mIoU", collect.VANILLA)
    if data.published:
        head += ["*published:* Generalised", "*published:* Vanilla"]
    rows = []
    methods = [method for method in data.comparison.methods if not data.is_independent_of_k(method)]
    for k in data.comparison.splits:
        for method in methods:
            row = [str(k) if method == methods[0] else "", data.marked(method), _runs(data, method, k)]
            row += [cell(data.spread(method, k, column)) for column in columns]
            if data.published:
                row += [number(data.published_metrics(method, k).get(column)) for column in columns]
            rows.append(row)
    return markdown(head, rows)


def published_table(data: TableData) -> str:
    """Return the published rows with all their metrics and their sources."""
    columns = (*collect.COLUMNS, collect.VANILLA)
    rows = [
        [
            "" if row.k is None else str(row.k),
            row.method,
            *(number(row.metrics.get(name)) for name in columns),
            row.source,
        ]
        for row in data.published
    ]
    return markdown(["K", "Model", *map(title, columns), "Source"], rows)


def run_rows(data: TableData) -> list[dict[str, Any]]:
    """Return a row, with the columns `RUN_COLUMNS`, for every run that the tables and the curve use; metrics have two decimals.

    `code` lists the files of code that have changed since the run. `seed` is the first of the seeds that the run serves.
    """
    rows = {}
    for (method, k, seed, swept), result in data.results.items():
        metrics = {name: None if value is None else round(value, 2) for name, value in result.metrics.items()}
        row = {"method": method, "k": k, "seed": seed, "swept": swept, **metrics}
        origin = {
            "experiment": result.experiment.name,
            "started_from": result.experiment.baseline[:7],
            "code": " ".join(result.changed),
        }
        rows.setdefault((method, k, swept, result.experiment.rev), row | origin)
    return list(rows.values())


def title(column: str) -> str:
    """Return the heading of a column, as in `Seen mIoU`."""
    group, _, name = column.rpartition(".")
    return f"{_TITLES[group]} {name}" if group else name


def cell(value: Spread | None) -> str:
    """Return mean and standard deviation, as in `72.8 ± 7.1`, or the mean alone for one value."""
    if value is None:
        return MISSING
    return f"{value.mean:.1f}" if value.deviation is None else f"{value.mean:.1f} ± {value.deviation:.1f}"


def bounds(interval: bootstrap.Interval) -> str:
    """Return an interval as in `[70.1, 75.3]`."""
    return f"[{interval.low:.1f}, {interval.high:.1f}]"


def number(value: float | None) -> str:
    """Return a metric with one decimal, as in the paper."""
    return MISSING if value is None else f"{value:.1f}"


def _runs(data: TableData, method: str, k: int, swept: Any = None) -> str:
    """Return the number of runs of a row, as in `3`, or `2 of 3` if one is missing."""
    n, missing = len(data.runs(method, k, swept)), data.n_missing_runs(method, k, swept)
    return _of(n, n + missing)


def _of(n: int, total: int) -> str:
    return str(n) if n == total else f"{n} of {total}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; text columns are aligned to the left and numbers to the right."""
    align = [":--" if name in ("Model", "Compared with", "So it is", "Source") else "--:" for name in head]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, align, *rows))
