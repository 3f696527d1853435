"""The result of a cross-validation: a table with a mark at the best setting, and the command that uses this setting."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroshot.experiments.parameter_search import grid
from zeroshot.pixel_classifiers.cross_validation import calibration

COLUMNS = ("bias", "hIoU", "spread", "seen", "unseen", "behind", "+-")
Curves = Sequence[Sequence[Sequence[Mapping[str, Any]]]]


def best_biases(curves: Curves, biases: Sequence[float]) -> list[float]:
    """Return for each of (n, folds, biases) mappings {seen, unseen, hIoU} the bias with the best mean hIoU over its folds."""
    return [calibration.choose([[metrics["hIoU"] for metrics in fold] for fold in folds], biases) for folds in curves]


def summarise(settings: Sequence[grid.Setting], curves: Curves, biases: Sequence[float]) -> list[dict[str, Any]]:
    """Return one row for each setting.

    Args:
        settings: n settings.
        curves: (n, folds, biases) mappings {seen, unseen, hIoU}, in per cent.
        biases: the seen biases.

    Returns:
        Rows with the values of the varied parameters and these columns, metrics in per cent. `bias` is the seen bias with the best mean
        hIoU over folds; the other columns are at this bias. `hIoU`, `seen` and `unseen` (mIoU) are means over folds. `spread` is the
        standard deviation of hIoU over folds. `behind` is the difference in hIoU to the best setting, and `+-` the standard error of
        this difference over folds. `fold_1` and so on are the hIoU of each fold. `spread` and `+-` are None if there is one fold.
    """
    table, scores = [], []
    for setting, folds, bias in zip(settings, curves, best_biases(curves, biases), strict=True):
        at_bias = [fold[list(biases).index(bias)] for fold in folds]
        scores.append(np.array([metrics["hIoU"] for metrics in at_bias]))
        means = {name: float(np.mean([metrics[name] for metrics in at_bias])) for name in ("hIoU", "seen", "unseen")}
        table.append(setting.values | {"bias": bias, **means, "spread": _deviation(scores[-1])})
    best = scores[best_of(table)]
    for row, hious in zip(table, scores, strict=True):
        error = _deviation(best - hious)
        row["behind"] = float(np.mean(best - hious))
        row["+-"] = None if error is None else error / len(hious) ** 0.5
        row |= {f"fold_{number}": float(score) for number, score in enumerate(hious, 1)}
    return table


def best_of(table: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of the row with the largest mean hIoU; among equal rows, the first."""
    return max(range(len(table)), key=lambda number: table[number]["hIoU"])


def text(table: Sequence[Mapping[str, Any]], named: Sequence[Mapping[str, Any]], present: Sequence[bool]) -> str:
    """Return the table for a terminal.

    Args:
        table: rows of `summarise`.
        named: for each row the columns before the metrics, column -> value.
        present: for each row whether its setting is that of params.yaml.
    """
    best = best_of(table)
    lines = [["", *named[0], *COLUMNS]]
    for number, (row, values, is_present) in enumerate(zip(table, named, present, strict=True)):
        mark = ("*" if number == best else "") + ("=" if is_present else "")
        metrics = [f"{row['bias']:g}", *("-" if row[name] is None else f"{row[name]:.1f}" for name in COLUMNS[1:])]
        lines.append([mark, *map(written, values.values()), *metrics])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)


def name(settings: Sequence[grid.Setting], varied: Sequence[str], one_at_a_time: bool) -> list[dict[str, Any]]:
    """Return the columns that name each setting: one for each of the `varied` keys, or, one at a time, the changed key and value."""
    if not one_at_a_time:
        return [{key: setting.values[key] for key in varied} for setting in settings]
    changes = [{key: setting.changes[key] for key in varied if key in setting.changes} for setting in settings]
    return [{"change": " ".join(_words(change)) or "none"} for change in changes]


def command(changes: Mapping[str, Any]) -> str:
    """Return the command that runs the pipeline with these values, full key -> value."""
    return shlex.join(["dvc", "exp", "run", *(word for pair in _words(changes) for word in ("-S", pair))])


def written(value: Any) -> str:
    """Return a value as DVC's command line takes it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _words(values: Mapping[str, Any]) -> list[str]:
    return [f"{key}={written(value)}" for key, value in values.items()]


def _deviation(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
