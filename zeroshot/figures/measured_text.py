"""Texts of a figure that are measured before they are written: cut or broken into lines to fit."""

from collections.abc import Callable
from typing import Any

from matplotlib import figure as mpl_figure
from matplotlib.backends import backend_agg


def width(figure: mpl_figure.Figure, text: str, size: float, **style: Any) -> float:
    """Return the width in points of a text of a font size in points.

    Args:
        figure: where the text will stand; it gets an Agg canvas if it has none.
        text: one line.
        size: of the font.
        style: further properties of the text.
    """
    if not isinstance(figure.canvas, backend_agg.FigureCanvasAgg):
        backend_agg.FigureCanvasAgg(figure)
    artist = figure.text(0, 0, text, fontsize=size, **style)
    points = artist.get_window_extent().width / figure.dpi * 72
    artist.remove()
    return points


def wrapped(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Break a text into lines that fit, if its words allow it."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and not fits(longer):
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def cut(text: str, fits: Callable[[str], bool]) -> str:
    """Return a text, or its beginning that fits."""
    if fits(text):
        return text
    while text and not fits(text + "…"):
        text = text[:-1]
    return text + "…"
