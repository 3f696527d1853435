"""The metrics of instances of every scoring and head as a table on the terminal."""

import json
import pathlib
from collections.abc import Mapping, Sequence

from zeroshot.base import errors, text_files
from zeroshot.evaluation.instances import instance_summary

_INTERVAL_WIDTH = len("  [100.0, 100.0]")
# Heading, protocol and metric of `instance_summary.FIGURES` of each column. The interval of the harmonic mean of GZSI follows it.
_COLUMNS = (
    ("ZSI", "zsi", "mAP50"),
    ("top-1", "zsi", "top1"),
    ("GZSI seen", "gzsi", "seen"),
    ("unseen", "gzsi", "unseen"),
    ("harmonic", "gzsi", "harmonic"),
    ("GZSD seen", "gzsd", "seen"),
    ("unseen", "gzsd", "unseen"),
    ("harmonic", "gzsd", "harmonic"),
)
_WITH_INTERVAL = ("gzsi", "harmonic")


def is_of_instances(paths: Sequence[pathlib.Path]) -> bool:
    """Return whether one of the metrics files has those of instances."""
    return any(map(_is_of_instances, paths))


def _is_of_instances(path: pathlib.Path) -> bool:
    try:
        content = json.loads(text_files.read(path))
    except (errors.UserError, ValueError):
        return False
    return isinstance(content, dict) and "gzsi" in content


def table(paths: Sequence[pathlib.Path]) -> str:
    """Return one line for each metrics file: mAP at IoU 0.5 in per cent, of masks and of boxes, and top-1 of unseen objects.

    Raises:
        errors.UserError: for the reasons of `instance_summary.read`.
    """
    contents = instance_summary.read(paths)
    width = max(24, *(len(name) + 1 for name in contents))
    lines = [["mAP at IoU 0.5, per cent".ljust(width)], *([name.ljust(width)] for name in contents)]
    for heading, protocol, metric in _COLUMNS:
        values = [instance_summary.figure(content, protocol, metric) for content in contents.values()]
        cells = ["-" if value is None else f"{value:.1f}" for value in values]
        _append(lines, [heading, *cells], len(heading) + 2)
        if (protocol, metric) == _WITH_INTERVAL:
            intervals = [_interval(content[protocol][metric]) for content in contents.values()]
            _append(lines, ["95 %", *intervals], _INTERVAL_WIDTH)
    texts = ["".join(line) for line in lines]
    return "\n".join([*texts, "ZSI and top-1: unseen classes alone. ZSI and GZSI: masks. GZSD: boxes."])


def _append(lines: Sequence[list[str]], cells: Sequence[str], width: int) -> None:
    for line, cell in zip(lines, cells, strict=True):
        line.append(cell.rjust(width))


def _interval(harmonic: Mapping[str, float | None]) -> str:
    low, high = harmonic.get("mAP50_low"), harmonic.get("mAP50_high")
    return "" if low is None or high is None else f"[{low:.1f}, {high:.1f}]"
