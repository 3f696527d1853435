"""Putting sections together to one HTML page that loads nothing: styles, scripts, plotly and all data are inside."""

import datetime
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import jinja2
import markupsafe
import plotly.graph_objects as go
import plotly.offline

from zeroshot.report import blocks, workspace

_FOLDER = pathlib.Path(__file__).parent


class _Figures:
    """The figures of a page, by the id of their places."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, chart: go.Figure) -> str:
        """Keep a figure and return the id of its place."""
        # Plotly writes <, > and / as escapes, so no text can end the script element.
        self._texts.append(str(chart.to_json()))
        return f"figure-{len(self._texts) - 1}"

    def json(self) -> str:
        """Return a JSON object of all figures so far."""
        return "{" + ",".join(f'"figure-{number}":{text}' for number, text in enumerate(self._texts)) + "}"


def render(title: str, subtitle: str, sections: Sequence[blocks.Section]) -> str:
    """Return the page as HTML.

    Args:
        title: heading.
        subtitle: a sentence below it; text in backticks is shown as code.
        sections: from top to bottom. All their texts are escaped.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FileSystemLoader(_FOLDER), trim_blocks=True
    )
    environment.filters |= {"code": _code, "json": _json}
    return environment.get_template("page.html").render(
        title=title,
        subtitle=subtitle,
        sections=sections,
        figures=_Figures(),
        kind=lambda block: type(block).__name__,
        style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
        script=(_FOLDER / "page.js").read_text(encoding="utf-8"),
        plotly=plotly.offline.get_plotlyjs(),
    )


def heading(run: workspace.Workspace, data_root: pathlib.Path) -> tuple[str, str]:
    """Return the title and the subtitle of the page of a run."""
    n_seen, n_unseen = len(run.split.seen), len(run.split.unseen)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    subtitle = (
        f"Data set `{data_root}`, {n_seen} seen and {n_unseen} unseen classes, {len(run.split.val)} evaluation images."
        f" Written {now} by `zeroshot report`. This page loads nothing from a network."
    )
    return f"Zero-shot segmentation: {data_root.name}", subtitle


def _code(text: str) -> markupsafe.Markup:
    """Return escaped text with the parts in backticks as code."""
    return markupsafe.Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(text))))


def _json(value: Any) -> markupsafe.Markup:
    """Return JSON for a script element, which no text in it can end."""
    return markupsafe.Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))
