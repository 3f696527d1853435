"""The paper's tables in Markdown."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from zeroshot.experiments.comparison import catalogue, collect, published_figures, spread

MISSING = "—"
_TITLES = {"seen": "Seen", "unseen": "Unseen", "all": "Overall", "vanilla": "Vanilla"}
_PRINTED = ("seen.mIoU", "unseen.mIoU", "hIoU")
RUN_COLUMNS = (
    *("method", "k", "seed", "swept"),
    *collect.COLUMNS,
    collect.VANILLA,
    *("experiment", "started_from", "code"),
)


@dataclasses.dataclass(frozen=True)
class Board:
    """All that the tables of one comparison are filled from.

    Attributes:
        comparison: what to show.
        methods: by name.
        results: by method, K, seed and swept value.
        printed: the published rows of the dataset.
    """

    comparison: catalogue.Comparison
    methods: dict[str, catalogue.Method]
    results: dict[tuple[str, int, int, Any], collect.Result]
    printed: Sequence[published_figures.Published]

    def runs(self, method: str, k: int, swept: Any = None) -> list[collect.Result]:
        """Return what ran of a method, by seed; once what is the same for several seeds, since it depends on none of them."""
        there = [self.results.get((method, k, seed, swept)) for seed in self.comparison.seeds]
        return list({result.experiment.rev: result for result in there if result is not None}.values())

    def lacking(self, method: str, k: int) -> int:
        """Return for how many seeds a method has not been run."""
        return sum((method, k, seed, None) not in self.results for seed in self.comparison.seeds)

    def spread(self, method: str, k: int, column: str, swept: Any = None) -> spread.Spread | None:
        """Return mean and spread of one column over the runs; None where none has it."""
        return spread.over(result.figures[column] for result in self.runs(method, k, swept))

    def published(self, method: str, k: int | None) -> dict[str, float]:
        """Return the published figures of a method at a K, by column; {} if none is."""
        found = [row.figures for row in self.printed if (row.method, row.k) == (method, k)]
        return found[0] if found else {}

    def stands_alone(self, method: str) -> bool:
        """Return whether a method is the same whatever K, since it sets all that the splits set."""
        return all(changes.keys() <= self.methods[method].set.keys() for changes in self.comparison.splits.values())


def figures(board: Board, table: catalogue.Table) -> str:
    """Return a table in the layout of the paper's Tables 1, 3 and 4: rows K x model; published figures in columns at the end."""
    head = ["K", "Model", "n", *map(title, collect.COLUMNS)]
    if board.printed:
        head += [f"*published:* {title(column)}" for column in _PRINTED]
    ks = list(board.comparison.splits)
    rows = [_row(board, method, ks[0], None) for method in table.methods if board.stands_alone(method)]
    for k in ks:
        inside = [method for method in table.methods if not board.stands_alone(method)]
        rows += [_row(board, method, k, k if method == inside[0] else None) for method in inside]
    return markdown(head, rows)


def _row(board: Board, method: str, k: int, label: int | None) -> list[str]:
    spreads = [board.spread(method, k, column) for column in collect.COLUMNS]
    row = ["" if label is None else str(label), method, _runs(board, method, k), *map(cell, spreads)]
    if board.printed:
        printed = board.published(method, None if board.stands_alone(method) else k)
        row += [number(printed.get(column)) for column in _PRINTED]
    return row


def protocols(board: Board) -> str:
    """Return a table in the layout of the paper's Table 2: mIoU of unseen classes, generalised and vanilla, at one K."""
    head, k = ["Model", "n", "Generalised", "Vanilla"], board.comparison.protocols_at
    columns = ("unseen.mIoU", collect.VANILLA)
    if board.printed:
        head += ["*published:* Generalised", "*published:* Vanilla"]
    rows = []
    for method in board.comparison.methods:
        if not board.stands_alone(method):
            row = [method, _runs(board, method, k), *(cell(board.spread(method, k, column)) for column in columns)]
            printed = [number(board.published(method, k).get(column)) for column in columns] if board.printed else []
            rows.append([*row, *printed])
    return markdown(head, rows)


def printed(board: Board) -> str:
    """Return the published rows as they are printed, in every column, with their sources."""
    columns = (*collect.COLUMNS, collect.VANILLA)
    rows = [
        [
            "" if row.k is None else str(row.k),
            row.method,
            *(number(row.figures.get(name)) for name in columns),
            row.source,
        ]
        for row in board.printed
    ]
    return markdown(["K", "Model", *map(title, columns), "Source"], rows)


def run_rows(board: Board) -> list[dict[str, Any]]:
    """Return a row for every run that a cell of the tables or the curve is from, by `RUN_COLUMNS`; figures rounded to hundredths.

    `code` names the files that were other then than they are now; `seed` is the first that the run stands for.
    """
    rows = {}
    for (method, k, seed, swept), result in board.results.items():
        figures = {name: None if value is None else round(value, 2) for name, value in result.figures.items()}
        own = {"method": method, "k": k, "seed": seed, "swept": swept, **figures}
        origin = {
            "experiment": result.experiment.name,
            "started_from": result.experiment.baseline[:7],
            "code": " ".join(result.changed),
        }
        rows.setdefault((method, k, swept, result.experiment.rev), own | origin)
    return list(rows.values())


def title(column: str) -> str:
    """Return the heading of a column, as in `Seen mIoU`."""
    group, _, name = column.rpartition(".")
    return f"{_TITLES[group]} {name}" if group else name


def cell(value: spread.Spread | None) -> str:
    """Return mean and spread as in `72.8 ± 7.1`, the mean alone for one value."""
    if value is None:
        return MISSING
    return f"{value.mean:.1f}" if value.deviation is None else f"{value.mean:.1f} ± {value.deviation:.1f}"


def number(value: float | None) -> str:
    """Return a figure with one decimal, as the paper prints it."""
    return MISSING if value is None else f"{value:.1f}"


def _runs(board: Board, method: str, k: int) -> str:
    """Return how many runs a row is from, and of how many if some are missing."""
    n, lacking = len(board.runs(method, k)), board.lacking(method, k)
    return f"{n} of {n + lacking}" if lacking else str(n)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, its first text columns to the left and the figures to the right."""
    align = [":--" if name in ("Model", "Source") else "--:" for name in head]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, align, *rows))
