"""Writing a matplotlib figure as PDF, SVG or PNG: text stays text, and equal figures give equal bytes."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib
from matplotlib import figure as mpl_figure

from zeroshot.base import errors, storage

# Suffix -> the metadata of the file that would differ between two runs or machines, removed.
_METADATA: Mapping[str, dict[str, None]] = {
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
    ".png": {"Software": None},
}
# TrueType fonts in PDF and text elements in SVG, so that text can be searched and edited; ids in SVG that are the same in every run.
_STYLE: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "zeroshot"}


@contextlib.contextmanager
def plain_text() -> Iterator[None]:
    """Show a name such as `$a_1$` as it is written in all texts that are made here, and not as a formula. It is also a decorator."""
    with matplotlib.rc_context({"text.parse_math": False}):
        yield


def check(path: pathlib.Path) -> None:
    """Refuse a file whose format cannot be written.

    Raises:
        errors.UserError: if the suffix is not .pdf, .svg or .png, or the path is a folder.
    """
    if path.suffix.lower() not in _METADATA:
        raise errors.UserError(f"{path}: needs one of the suffixes {', '.join(_METADATA)}")
    if path.is_dir():
        raise errors.UserError(f"{path}: is a folder; give the path of a file")


def write(path: pathlib.Path, figure: mpl_figure.Figure, dpi: float) -> None:
    """Write a figure in the format of the suffix, atomically.

    Args:
        path: the file, which `check` accepts; its folder is made.
        figure: the figure.
        dpi: pixels per inch of a PNG.
    """
    suffix = path.suffix.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(_STYLE), storage.writing(path, flush=False) as file:
        figure.savefig(file, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
