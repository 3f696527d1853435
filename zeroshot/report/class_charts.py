"""The charts about classes: where pixels of unseen classes go, confidences, class vectors, and features in one plane."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from zeroshot.report import charts, features_plane, reliability

# Segments of a bar of `confusion`, with their legend.
_KINDS = {
    "correct": ("correct", charts.GREEN),
    "unseen": ("another unseen class", charts.UNSEEN),
    "seen": ("a seen class", charts.SKY),
    "rest": ("all other classes", charts.LIGHT),
}
# Narrower segments, in per cent, have no text inside.
_MIN_TEXT = 6.0
Segment = tuple[str, str, float]


def destinations(
    shares: Mapping[str, float], truth: str, unseen: Sequence[str], most: int = 5
) -> list[tuple[str, str, float]]:
    """Return where the pixels of a class go: (kind, class, share in per cent), the correct ones first and the rest last.

    Args:
        shares: predicted class -> share in per cent.
        truth: the true class.
        unseen: names of the unseen classes.
        most: largest number of wrong classes; the others are added up in the rest.
    """
    wrong = sorted(((share, name) for name, share in shares.items() if name != truth and share > 0), reverse=True)
    segments = [("correct", truth, shares.get(truth, 0.0))]
    segments += [("unseen" if name in unseen else "seen", name, share) for share, name in wrong[:most]]
    return [*segments, ("rest", "", sum(share for share, _ in wrong[most:]))]


def confusion(rows: Mapping[str, Sequence[Segment]]) -> go.Figure:
    """Draw a stacked bar for each true class from its `destinations`."""
    names = {name: charts.text(name) for name in rows}
    chart = charts.figure(
        150 + 44 * len(rows), barmode="stack", xaxis_title="per cent of the pixels", xaxis_range=[0, 100],
        legend={"traceorder": "normal"}, uniformtext={"minsize": 10, "mode": "hide"},
    )  # fmt: skip
    for label, shade in _KINDS.values():
        chart.add_bar(
            x=[0], y=[next(iter(names.values()), "")], orientation="h", name=label, marker_color=shade, hoverinfo="skip"
        )
    for rank in range(max((len(segments) for segments in rows.values()), default=0)):
        part = {name: segments[rank] for name, segments in rows.items() if rank < len(segments)}
        labels = [charts.text(target) or "other classes" for _, target, _ in part.values()]
        shares = [share for _, _, share in part.values()]
        chart.add_bar(
            x=shares,
            y=[names[name] for name in part],
            orientation="h",
            showlegend=False,
            marker={"color": [_KINDS[kind][1] for kind, _, _ in part.values()], "line": {"color": "white", "width": 1}},
            text=[
                f"{label} {share:.0f}" if share >= _MIN_TEXT else ""
                for label, share in zip(labels, shares, strict=True)
            ],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            insidetextfont={"color": "black"},
            customdata=labels,
            hovertemplate="%{y} → %{customdata}: %{x:.1f} %<extra></extra>",
        )
    return charts.named_rows(chart, list(names.values()))


def confidence(groups: Mapping[str, reliability.Bins]) -> go.Figure:
    """Draw accuracy against confidence for groups of pixels, and the share of the pixels in each bin."""
    chart = charts.figure(
        480,
        xaxis={"title": {"text": "confidence"}, "range": [0, 1.01], "anchor": "y2"},
        yaxis={"title": {"text": "accuracy"}, "range": [0, 1.02], "domain": [0.34, 1]},
        yaxis2={"title": {"text": "share of pixels"}, "domain": [0, 0.24], "gridcolor": "#E5E5E5", "automargin": True},
        barmode="group",
    )
    chart.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="perfectly calibrated", line={"color": charts.GREY, "dash": "dash"}
    )
    shades = {"seen": (charts.SEEN, "square"), "unseen": (charts.UNSEEN, "diamond")}
    for name, bins in groups.items():
        shade, marker = shades[name]
        used = bins.pixels > 0
        pixels = np.maximum(bins.pixels, 1)
        error = reliability.calibration_error(bins)
        chart.add_scatter(
            x=(bins.confidence / pixels)[used].round(4).tolist(),
            y=(bins.correct / pixels)[used].round(4).tolist(),
            mode="lines+markers",
            name=f"predicted {name}" + (f" (error {100 * error:.1f} %)" if error is not None else ""),
            line={"color": shade},
            # The area of a marker grows with its share of the pixels.
            marker={
                "symbol": marker,
                "size": (6 + 10 * np.sqrt(bins.pixels / max(bins.pixels.max(), 1)))[used].round(1).tolist(),
            },
            customdata=bins.pixels[used].tolist(),
            hovertemplate="confidence %{x:.3f}, accuracy %{y:.3f}<br>%{customdata:,} pixels",
        )
        chart.add_bar(
            x=((np.arange(len(bins.pixels)) + 0.5) / len(bins.pixels)).round(4).tolist(),
            y=(bins.pixels / max(bins.pixels.sum(), 1)).round(4).tolist(),
            marker_color=shade, name=f"predicted {name}", showlegend=False, yaxis="y2",
        )  # fmt: skip
    return chart


def similarity(cosines: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> go.Figure:
    """Draw cosines (r, c) of class vectors, whose rows and columns have these labels; a class with itself is left out."""
    same = np.array([[row == column for column in columns] for row in rows]).reshape(cosines.shape)
    values = np.where(same, np.nan, cosines).round(3)
    chart = charts.figure(170 + 20 * len(rows))
    chart.add_heatmap(
        z=[[None if np.isnan(value) else value for value in row] for row in values.tolist()],
        x=list(columns), y=list(rows), colorscale="Cividis",
        colorbar={"title": {"text": "cosine"}, "thickness": 12}, hoverongaps=False,
        hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
    )  # fmt: skip
    chart.update_xaxes(type="category", tickangle=-90, dtick=1, showgrid=False)
    return charts.named_rows(chart, rows).update_yaxes(dtick=1, showgrid=False)


def plane(plane: features_plane.Plane, unseen: Sequence[str]) -> go.Figure:
    """Draw real features as dots and synthetic ones as crosses, one colour for each class; a click on the legend hides a class."""
    first, second = (f"({100 * share:.0f} % of the variance)" for share in plane.explained)
    chart = charts.figure(660, xaxis_title=f"1st component {first}", yaxis_title=f"2nd component {second}")
    kinds = {"real": (plane.real, "circle", 6), "synthetic": (plane.synthetic, "x-thin", 7)}
    for kind, (_, marker, _) in kinds.items():
        chart.add_scatter(x=[None], y=[None], mode="markers", name=kind, marker=_marker(marker, 8, charts.GREY))
    for number, name in enumerate(plane.real):
        label = charts.class_name(name, name in unseen)
        for kind, (features, marker, size) in kinds.items():
            if name in features:
                x, y = features[name].T.round(3).tolist()
                chart.add_scatter(
                    x=x, y=y, mode="markers", name=label, legendgroup=label, showlegend=kind == "real",
                    marker=_marker(marker, size, charts.colour(number)), hovertemplate=f"{label}, {kind}<extra></extra>",
                )  # fmt: skip
    return chart


def _marker(name: str, size: int, shade: str) -> dict[str, object]:
    return {"symbol": name, "size": size, "color": shade, "opacity": 0.7, "line": {"color": shade, "width": 1.5}}
