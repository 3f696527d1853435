"""The paper's figure 5: mIoU and hIoU against the swept parameter."""

import io

import matplotlib
import matplotlib.figure

from zeroshot.experiments.comparison import markdown_tables

_LINES = {"seen.mIoU": "seen mIoU", "unseen.mIoU": "unseen mIoU", "hIoU": "hIoU"}


def draw(data: markdown_tables.TableData) -> str | None:
    """Return the curve of `data.comparison.sweep` as SVG: means over seeds, error bars of one standard deviation.

    The same metrics give the same text. Return None if there is no sweep or no run of it yet.
    """
    sweep = data.comparison.sweep
    if sweep is None:
        return None
    points = {
        column: [
            (value, spread)
            for value in sweep.values
            if (spread := data.spread(sweep.method, sweep.k, column, value)) is not None
        ]
        for column in _LINES
    }
    if not any(points.values()):
        return None
    with matplotlib.rc_context({"svg.hashsalt": "zs3", "svg.fonttype": "none"}):
        figure = matplotlib.figure.Figure(figsize=(5, 3.2), layout="constrained")
        axes = figure.subplots()
        for column, spreads in points.items():
            axes.errorbar(
                [value for value, _ in spreads],
                [spread.mean for _, spread in spreads],
                [spread.deviation or 0 for _, spread in spreads],
                marker="o",
                capsize=3,
                label=_LINES[column],
            )
        axes.set(xlabel=sweep.parameter, ylabel="per cent", ylim=(0, 100), title=f"{sweep.method}, K = {sweep.k}")
        axes.legend()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
