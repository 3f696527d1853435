"""The metrics of instances of every scoring and head as a table on the terminal."""

import json
import pathlib
from collections.abc import Mapping, Sequence

from zeroshot.base import errors, text_files
from zeroshot.evaluation.instances import instance_summary

# Heading -> protocol and metric of `instance_summary.FIGURES`.
_COLUMNS = {
    "ZSI": ("zsi", "mAP50"),
    "top-1": ("zsi", "top1"),
    "GZSI seen": ("gzsi", "seen"),
    "unseen": ("gzsi", "unseen"),
    "harmonic": ("gzsi", "harmonic"),
    "GZSD seen": ("gzsd", "seen"),
    "unseen ": ("gzsd", "unseen"),
    "harmonic ": ("gzsd", "harmonic"),
}
_INTERVAL_WIDTH = len("  [100.0, 100.0]")
# The column before the interval.
_WITH_INTERVAL = "harmonic"


def is_of_instances(paths: Sequence[pathlib.Path]) -> bool:
    """Return whether the first metrics file has those of instances."""
    try:
        content = json.loads(text_files.read(paths[0])) if paths else None
    except (errors.UserError, ValueError):
        return False
    return isinstance(content, dict) and "gzsi" in content


def table(paths: Sequence[pathlib.Path]) -> str:
    """Return one line for each metrics file: mAP at IoU 0.5 in per cent, of masks and of boxes, and top-1 of unseen objects.

    Raises:
        errors.UserError: for the reasons of `instance_summary.read`.
    """
    contents = instance_summary.read(paths)
    figures = instance_summary.summary(contents)
    width = max(24, *(len(name) + 1 for name in contents))
    heading = "".join(
        f"{name.strip():>{_width(name)}}" + (f"{'95 %':>{_INTERVAL_WIDTH}}" if name == _WITH_INTERVAL else "")
        for name in _COLUMNS
    )
    lines = [f"{'mAP at IoU 0.5, per cent':{width}}{heading}"]
    for model, content in contents.items():
        cells = []
        for name, (protocol, metric) in _COLUMNS.items():
            cells.append(_number(figures[protocol][metric][model], _width(name)))
            if name == _WITH_INTERVAL:
                cells.append(_interval(content["gzsi"]["harmonic"]))
        lines.append(f"{model:{width}}{''.join(cells)}")
    return "\n".join([*lines, "ZSI and top-1: unseen classes alone. ZSI and GZSI: masks. GZSD: boxes."])


def _width(name: str) -> int:
    return len(name.strip()) + 2


def _number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.1f}"


def _interval(harmonic: Mapping[str, float | None]) -> str:
    low, high = harmonic.get("mAP50_low"), harmonic.get("mAP50_high")
    return f"{'' if low is None or high is None else f'[{low:.1f}, {high:.1f}]':>{_INTERVAL_WIDTH}}"
