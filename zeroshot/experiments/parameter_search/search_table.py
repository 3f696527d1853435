"""What a cross-validation found: a table with the best setting marked, and the command that uses it."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroshot.experiments.parameter_search import grid
from zeroshot.zs3net.cross_validation import calibration

FIGURES = ("bias", "hIoU", "spread", "seen", "unseen", "behind", "+-")
Curves = Sequence[Sequence[Sequence[Mapping[str, Any]]]]


def best_biases(curves: Curves, biases: Sequence[float]) -> list[float]:
    """Return for each of (n, folds, biases) mappings {seen, unseen, hIoU} the bias with the best mean hIoU over its folds."""
    return [calibration.choose([[figures["hIoU"] for figures in fold] for fold in folds], biases) for folds in curves]


def summarise(settings: Sequence[grid.Setting], curves: Curves, biases: Sequence[float]) -> list[dict[str, Any]]:
    """Return one row for each setting.

    Args:
        settings: n of them.
        curves: (n, folds, biases) mappings {seen, unseen, hIoU}.
        biases: those tried.

    Returns:
        rows with the values of the named parameters and, in per cent: `bias`, the best one common to all folds; means over folds at
        that bias of `hIoU`, `seen` and `unseen` mIoU; `spread`, the standard deviation of hIoU over folds; `behind`, by how much hIoU
        is behind that of the best setting on the same folds, with `+-`, the standard error of that difference; and `fold_1`, ... the
        hIoU of each fold. Spread and error are None where there is one fold.
    """
    table, scores = [], []
    for setting, folds, bias in zip(settings, curves, best_biases(curves, biases), strict=True):
        at_bias = [fold[list(biases).index(bias)] for fold in folds]
        scores.append(np.array([figures["hIoU"] for figures in at_bias]))
        means = {name: float(np.mean([figures[name] for figures in at_bias])) for name in ("hIoU", "seen", "unseen")}
        table.append(setting.values | {"bias": bias, **means, "spread": _deviation(scores[-1])})
    best = scores[best_of(table)]
    for row, own in zip(table, scores, strict=True):
        error = _deviation(best - own)
        row["behind"] = float(np.mean(best - own))
        row["+-"] = None if error is None else error / len(own) ** 0.5
        row |= {f"fold_{number}": float(score) for number, score in enumerate(own, 1)}
    return table


def best_of(table: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of the row with the largest mean hIoU, the first of equals."""
    return max(range(len(table)), key=lambda number: table[number]["hIoU"])


def text(table: Sequence[Mapping[str, Any]], named: Sequence[Mapping[str, Any]], present: Sequence[bool]) -> str:
    """Return the table for a terminal.

    Args:
        table: rows of `summarise`.
        named: for each row what to show before the figures, column -> value.
        present: which rows are params.yaml as it is.
    """
    best = best_of(table)
    lines = [["", *named[0], *FIGURES]]
    for number, (row, values, is_present) in enumerate(zip(table, named, present, strict=True)):
        mark = ("*" if number == best else "") + ("=" if is_present else "")
        figures = [f"{row['bias']:g}", *("-" if row[name] is None else f"{row[name]:.1f}" for name in FIGURES[1:])]
        lines.append([mark, *map(written, values.values()), *figures])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)


def name(settings: Sequence[grid.Setting], varied: Sequence[str], one_at_a_time: bool) -> list[dict[str, Any]]:
    """Return for each setting what names it: a column for each of the `varied` keys, or, one at a time, the one that is changed."""
    if not one_at_a_time:
        return [{key: setting.values[key] for key in varied} for setting in settings]
    changes = [{key: setting.changes[key] for key in varied if key in setting.changes} for setting in settings]
    return [{"change": " ".join(_words(own)) or "none"} for own in changes]


def command(changes: Mapping[str, Any]) -> str:
    """Return the command that runs the pipeline with these values."""
    return shlex.join(["dvc", "exp", "run", *(word for pair in _words(changes) for word in ("-S", pair))])


def written(value: Any) -> str:
    """Return a value as DVC's command line takes it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _words(values: Mapping[str, Any]) -> list[str]:
    return [f"{key}={written(value)}" for key, value in values.items()]


def _deviation(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
