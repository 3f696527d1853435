"""The paper's figure 5: mIoU and hIoU against the swept parameter, of one method or of several."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
import matplotlib.axes
import matplotlib.figure

from zeroshot.experiments.comparison import catalogue, markdown_tables

_COLUMNS = {"seen.mIoU": "seen mIoU", "unseen.mIoU": "unseen mIoU", "hIoU": "hIoU"}
# The points of one line: the swept value, and the mean and deviation there.
_Points = Sequence[tuple[float, markdown_tables.Spread]]


def draw(data: markdown_tables.TableData) -> str | None:
    """Return the curves of `data.comparison.sweep` as SVG: means over seeds, error bars of one standard deviation.

    One method has a line for each metric. Several have a panel for each metric with a line for each method, and a panel for the differences
    of hIoU of `data.comparison.differences`, over the seeds that both methods have. The same metrics give the same text. Return None if
    there is no sweep or no run of it yet.
    """
    sweep = data.comparison.sweep
    if sweep is None:
        return None
    points = {column: {name: _points(data, sweep, name, column) for name in sweep.methods} for column in _COLUMNS}
    if not any(line for lines in points.values() for line in lines.values()):
        return None
    if len(sweep.methods) == 1:
        title = f"{sweep.methods[0]}, K = {sweep.k}"
        panels = {title: {_COLUMNS[column]: lines[sweep.methods[0]] for column, lines in points.items()}}
    else:
        panels = {_COLUMNS[column]: lines for column, lines in points.items()}
    pairs = markdown_tables.swept_pairs(data.comparison, sweep)
    with matplotlib.rc_context({"svg.hashsalt": "zs3", "svg.fonttype": "none"}):
        n_panels = len(panels) + bool(pairs)
        figure = matplotlib.figure.Figure(figsize=(1 + 4 * n_panels, 3.2), layout="constrained")
        axes = figure.subplots(1, n_panels, squeeze=False)[0]
        for (title, lines), one in zip(panels.items(), axes, strict=False):
            _panel(one, lines)
            one.set(xlabel=sweep.parameter, ylabel="per cent", ylim=(0, 100), title=title)
        if pairs:
            differences = {f"{first} - {second}": _gaps(data, sweep, first, second) for first, second in pairs}
            _panel(axes[-1], differences)
            axes[-1].axhline(0, color="0.7", linewidth=1)
            axes[-1].set(xlabel=sweep.parameter, ylabel="points", title="differences of hIoU")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _points(data: markdown_tables.TableData, sweep: catalogue.Sweep, method: str, column: str) -> _Points:
    spreads = [(value, data.spread(method, sweep.k, column, value)) for value in sweep.values]
    return [(value, spread) for value, spread in spreads if spread is not None]


def _gaps(data: markdown_tables.TableData, sweep: catalogue.Sweep, first: str, second: str) -> _Points:
    """Return the differences of hIoU at the values where both methods have a run of one seed; they have no deviation."""
    differences = [(value, data.difference(first, second, sweep.k, "hIoU", value)) for value in sweep.values]
    return [(value, markdown_tables.Spread(gap, None)) for value, gap in differences if gap is not None]


def _panel(axes: matplotlib.axes.Axes, lines: Mapping[str, _Points]) -> None:
    for label, points in lines.items():
        axes.errorbar(
            [value for value, _ in points],
            [spread.mean for _, spread in points],
            [spread.deviation or 0 for _, spread in points],
            marker="o",
            capsize=3,
            label=label,
        )
    axes.legend()
