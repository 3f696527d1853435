"""What a section of the page consists of: text, figures, tables and choices between figures."""

import dataclasses
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go


@dataclasses.dataclass(frozen=True)
class Figure:
    """One chart.

    Attributes:
        chart: the chart; its width is that of the page.
        title: heading above it; empty for none.
        min_width: in pixels; on a narrower page it is scrolled.
    """

    chart: go.Figure
    title: str = ""
    min_width: int = 0


@dataclasses.dataclass(frozen=True)
class Grid:
    """Small charts side by side."""

    figures: Sequence[Figure]


@dataclasses.dataclass(frozen=True)
class Choice:
    """Charts of which one is visible.

    Attributes:
        label: what the reader chooses.
        figures: by the name of the choice.
        chosen: the name that is visible first.
    """

    label: str
    figures: Mapping[str, go.Figure]
    chosen: str


@dataclasses.dataclass(frozen=True)
class Cards:
    """Large figures side by side: (number, what it is)."""

    items: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; the cells of its first column are headings of their rows.

    Attributes:
        columns: headings.
        rows: cells as text.
        title: heading above it; empty for none.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Text:
    """Preformatted text, closed at first.

    Attributes:
        title: the line that opens it.
        text: the text.
    """

    title: str
    text: str


@dataclasses.dataclass(frozen=True)
class Browser:
    """The browser over images; `data` is what `image_browser.data` returns."""

    data: Mapping[str, object]


Block = Figure | Grid | Choice | Cards | Table | Text | Browser


@dataclasses.dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        name: its anchor.
        title: its heading.
        notes: sentences below the heading; text in backticks is shown as code.
        blocks: its content. A section without any says in `notes` which command makes it.
    """

    name: str
    title: str
    notes: Sequence[str]
    blocks: Sequence[Block] = ()


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with `digits` decimals, a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"
