"""The common style of all charts, and the charts of scores: models, classes, training curves, the bias and p.

Every text of a chart is escaped, because plotly reads markup in it.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from zeroshot.evaluation import metrics_files
from zeroshot.figures import colours

# Colours that colour-blind people can tell apart; yellow is too pale for marks on white.
BLACK, ORANGE, SKY, GREEN, _YELLOW, BLUE, VERMILION, PURPLE = (f"#{bytes(one).hex()}" for one in colours.OKABE_ITO)
GREY, LIGHT = "#999999", "#DDDDDD"
SEEN, UNSEEN = BLUE, VERMILION
_SERIES = (BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY)
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "pentagon")
# Pixels of a row of a chart with one row for each class.
_ROW = 22
# Largest number of classes in a chart with a row for each class.
MAX_ROWS = 80


def text(value: str) -> str:
    """Return text for a chart, in which plotly finds no markup."""
    return html.escape(value, quote=False)


def class_name(name: str, unseen: bool) -> str:
    """Return the name of a class for a chart; unseen classes are marked by a filled diamond."""
    return f"◆ {text(name)}" if unseen else text(name)


def colour(number: int) -> str:
    """Return the colour of the series of this number."""
    return _SERIES[number % len(_SERIES)]


def symbol(number: int) -> str:
    """Return the marker of the series of this number; 56 series differ in colour or marker."""
    return _SYMBOLS[(number + number // len(_SERIES)) % len(_SYMBOLS)]


def figure(height: int, **layout: Any) -> go.Figure:
    """Return an empty chart in the common style, `height` pixels high."""
    chart = go.Figure()
    axis = {"gridcolor": "#E5E5E5", "zeroline": False, "automargin": True, "linecolor": GREY, "ticks": "outside"}
    chart.update_layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 10, "r": 12, "t": 10, "b": 10},
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#222222"},
        paper_bgcolor="white",
        plot_bgcolor="white",
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        xaxis=axis,
        yaxis=axis,
    )
    return chart.update_layout(**layout)


def rows_height(n_rows: int) -> int:
    """Return the height in pixels of a chart with `n_rows` rows."""
    return 130 + _ROW * n_rows


def scores(metrics: Mapping[str, metrics_files.Metrics]) -> go.Figure:
    """Draw seen and unseen mIoU and hIoU with its 95 % interval, and hIoU without the bias, in a row for each model."""
    models = list(metrics)
    with_bias = [metrics[model]["generalised"] for model in models]
    chart = figure(130 + 40 * len(models), xaxis_title="per cent", xaxis_range=[-2, 102])
    names = [text(model) for model in models]
    for group, shade, marker in (("seen", SEEN, "square"), ("unseen", UNSEEN, "diamond")):
        values = [block[group]["mIoU"] for block in with_bias]
        chart.add_scatter(
            x=values, y=names, mode="markers", name=f"{group} mIoU",
            marker={"color": shade, "symbol": marker, "size": 10},
        )  # fmt: skip
    chart.add_scatter(
        x=[block["hIoU"] for block in with_bias],
        y=names,
        mode="markers",
        name="hIoU, with its 95 % interval",
        marker={"color": BLACK, "size": 12},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [_distance(block["hIoU"], block["hIoU_high"]) for block in with_bias],
            "arrayminus": [_distance(block["hIoU_low"], block["hIoU"]) for block in with_bias],
            "thickness": 2,
        },
    )
    biased = [model for model in models if metrics[model]["seen_bias"]]
    chart.add_scatter(
        x=[metrics[model]["without_bias"]["hIoU"] for model in biased],
        y=[text(model) for model in biased],
        mode="markers",
        name="hIoU without the bias",
        marker={"color": "white", "size": 11, "line": {"color": BLACK, "width": 2}},
    )
    return named_rows(chart, names)


def named_rows(chart: go.Figure, names: Sequence[str]) -> go.Figure:
    """Give a chart a row for each name, from top to bottom. Without the type, plotly takes names such as `7` for numbers."""
    return chart.update_yaxes(type="category", categoryorder="array", categoryarray=list(names)[::-1])


def _distance(low: float | None, high: float | None) -> float:
    return 0.0 if low is None or high is None else max(0.0, high - low)


def classes(ious: Mapping[str, Mapping[str, float | None]], unseen: Sequence[str], chosen: Sequence[str]) -> go.Figure:
    """Draw the IoU of each class with a series for each model.

    Args:
        ious: model -> class -> IoU in per cent.
        unseen: names of the unseen classes.
        chosen: the classes to draw, from top to bottom.
    """
    labels = {name: class_name(name, name in unseen) for name in chosen}
    chart = figure(rows_height(len(chosen)), xaxis_title="IoU in per cent", xaxis_range=[-2, 102])
    for number, (model, values) in enumerate(ious.items()):
        chart.add_scatter(
            x=[values.get(name) for name in chosen],
            y=list(labels.values()),
            mode="markers",
            name=text(model),
            marker={"color": colour(number), "symbol": symbol(number), "size": 9, "opacity": 0.85},
            hovertemplate="%{y}<br>IoU %{x:.1f}",
        )
    n_unseen = sum(name in unseen for name in chosen)
    if n_unseen:
        # Categories are numbered from the bottom.
        top, bottom = len(chosen) - 0.5, len(chosen) - n_unseen - 0.5
        chart.add_hrect(y0=bottom, y1=top, fillcolor=UNSEEN, opacity=0.1, line_width=0, layer="below")
    return named_rows(chart, list(labels.values())).update_yaxes(range=[-0.7, len(chosen) - 0.3], dtick=1)


def training_curve(values: Mapping[str, Sequence[float | None]]) -> go.Figure:
    """Draw series (name -> value of each epoch) against the number of the epoch."""
    chart = figure(230, xaxis_title="epoch")
    for number, (name, series) in enumerate(values.items()):
        chart.add_scatter(
            x=list(range(len(series))), y=list(series), mode="lines+markers", name=text(name),
            line={"color": colour(number + 4)}, marker={"size": 5},
        )  # fmt: skip
    return chart.update_layout(showlegend=len(values) > 1)


def against_bias(folds: Mapping[str, Mapping[float, float | None]], chosen: float | None, unit: str) -> go.Figure:
    """Draw hIoU of cross-validation against the seen bias.

    Args:
        folds: name of a fold -> bias -> hIoU in per cent.
        chosen: the chosen one of these biases; None if it is unknown.
        unit: of the biases, for the axis.
    """
    chart = figure(290, xaxis_title=f"seen bias, in {unit}", yaxis_title="hIoU in per cent")
    for number, (name, values) in enumerate(folds.items()):
        chart.add_scatter(
            x=list(values), y=list(values.values()), mode="lines", name=f"fold {number + 1}", showlegend=False,
            line={"color": GREY, "width": 1}, hovertemplate=f"held out: {text(name)}<br>bias %{{x}}: %{{y:.1f}}<extra></extra>",
        )  # fmt: skip
    means = mean_over_folds(folds)
    chart.add_scatter(
        x=list(means), y=list(means.values()), mode="lines+markers", name="mean over folds", line={"color": BLACK}
    )
    if chosen is not None:
        chart.add_vline(x=chosen, line={"color": UNSEEN, "dash": "dash"}, annotation_text=f"chosen: {chosen:g}")
    return chart.update_layout(showlegend=False)


def mean_over_folds(folds: Mapping[str, Mapping[float, float | None]]) -> dict[float, float]:
    """Return the mean hIoU of each bias over the folds that have a value there."""
    biases = sorted({bias for values in folds.values() for bias in values})
    known = {bias: [value for fold in folds.values() if (value := fold.get(bias)) is not None] for bias in biases}
    return {bias: sum(values) / len(values) for bias, values in known.items() if values}


def against_p(points: Mapping[str, Mapping[float, Sequence[float]]], parameter: str) -> go.Figure:
    """Draw the mean and every value of some metrics against a parameter; points: metric -> parameter -> values of single runs."""
    shades = {"seen mIoU": (SEEN, "square"), "unseen mIoU": (UNSEEN, "diamond"), "hIoU": (BLACK, "circle")}
    chart = figure(340, xaxis_title=text(parameter), yaxis_title="per cent", yaxis_range=[0, 102])
    for metric, values in points.items():
        shade, marker = shades[metric]
        means = {value: sum(runs) / len(runs) for value, runs in sorted(values.items()) if runs}
        chart.add_scatter(
            x=list(means), y=list(means.values()), mode="lines+markers", name=metric,
            line={"color": shade}, marker={"symbol": marker, "size": 9},
        )  # fmt: skip
        chart.add_scatter(
            x=[value for value, runs in values.items() for _ in runs], y=[run for runs in values.values() for run in runs],
            mode="markers", name=f"{metric}, single runs", showlegend=False, hoverinfo="skip",
            marker={"symbol": marker, "size": 6, "color": shade, "opacity": 0.35},
        )  # fmt: skip
    return chart
