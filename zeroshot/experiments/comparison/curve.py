"""The paper's figure 5: mIoU and hIoU against the swept parameter."""

import io

import matplotlib
import matplotlib.figure

from zeroshot.experiments.comparison import markdown_tables

_LINES = {"seen.mIoU": "seen mIoU", "unseen.mIoU": "unseen mIoU", "hIoU": "hIoU"}


def draw(board: markdown_tables.Board) -> str | None:
    """Return the curve of `board.comparison.sweep` as an SVG picture: means over seeds, bars one standard deviation long each way.

    The same figures give the same text. None if there is no sweep or no run of it yet.
    """
    sweep = board.comparison.sweep
    if sweep is None:
        return None
    points = {
        column: [
            (value, found)
            for value in sweep.values
            if (found := board.spread(sweep.method, sweep.k, column, value)) is not None
        ]
        for column in _LINES
    }
    if not any(points.values()):
        return None
    with matplotlib.rc_context({"svg.hashsalt": "zs3", "svg.fonttype": "none"}):
        figure = matplotlib.figure.Figure(figsize=(5, 3.2), layout="constrained")
        axes = figure.subplots()
        for column, found in points.items():
            axes.errorbar(
                [value for value, _ in found],
                [item.mean for _, item in found],
                [item.deviation or 0 for _, item in found],
                marker="o",
                capsize=3,
                label=_LINES[column],
            )
        axes.set(xlabel=sweep.parameter, ylabel="per cent", ylim=(0, 100), title=f"{sweep.method}, K = {sweep.k}")
        axes.legend()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
