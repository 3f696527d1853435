"""What a cross-validation found: a table with the best setting marked, and the command that uses it."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zs3 import calibration
from zs3.cross_validate import grid

FIGURES = ("bias", "hIoU", "spread", "seen", "unseen", "behind", "+-")
Curves = Sequence[Sequence[Sequence[Mapping[str, float]]]]


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


def text(table: Sequence[Mapping[str, Any]], keys: Sequence[str], present: Sequence[bool]) -> str:
    """Return the table for a terminal.

    Args:
        table: rows of `summarise`.
        keys: the parameters to show.
        present: which rows are params.yaml as it is.
    """
    best = best_of(table)
    lines = [["", *keys, *FIGURES]]
    for number, (row, is_present) in enumerate(zip(table, present, strict=True)):
        mark = ("*" if number == best else "") + ("=" if is_present else "")
        figures = [f"{row['bias']:g}", *("-" if row[name] is None else f"{row[name]:.1f}" for name in FIGURES[1:])]
        lines.append([mark, *(written(row[key]) for key in keys), *figures])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)


def command(values: Mapping[str, Any]) -> str:
    """Return the command that runs the pipeline with these values."""
    words = [word for key, value in values.items() for word in ("-S", f"{key}={written(value)}")]
    return shlex.join(["dvc", "exp", "run", *words])


def written(value: Any) -> str:
    """Return a value as DVC's command line takes it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _deviation(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
