"""The figure of example images: a row for each image, and columns for the photograph, the truth and each model."""

import dataclasses
from collections.abc import Callable, Sequence

import cc3d
import numpy as np
import scipy.ndimage
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import legend as mpl_legend
from matplotlib.backends import backend_agg

from zeroshot.base import errors
from zeroshot.datasets import splits
from zeroshot.figures import colours, measured_text, output, overlays
from zeroshot.figures.examples import Example, shown
from zeroshot.images import label_ids

# Lengths in inches: between columns, between rows, around the legend.
GAP, ROW_GAP, LEGEND_GAP = 0.04, 0.05, 0.08
# Panels are at least this wide in inches.
MIN_SIDE = 0.4
# Panels are at most this many times as high as wide.
MAX_ASPECT = 1.4
# Font sizes in points; a line of text takes this many times its size.
TITLE, CAPTION, LEGEND, NAME, NOTE = 8, 6.5, 7, 5, 6
LINE = 1.25
# A segment of at least this share of the image may have its name on it.
NAMED_SHARE = 0.03
# How much wider bold text is, at most.
BOLD = 1.15
EXPLANATION = f"Numbers: mean IoU in per cent of the seen and of the unseen classes in the image. {overlays.STAR} and hatch: unseen class."
# Returns the width in inches of a text of a font size in points.
Measured = Callable[[str, float], float]


@dataclasses.dataclass(frozen=True)
class Options:
    """How the figure looks.

    Attributes:
        width: in inches.
        names: whether large segments have the names of their classes on them.
        vector: whether it is for PDF or SVG, where images keep their own pixels.
    """

    width: float
    names: bool
    vector: bool


@output.plain_text()
def draw(rows: Sequence[Example], titles: Sequence[str], split: splits.Split, options: Options) -> mpl_figure.Figure:
    """Draw the figure. Its height follows from the images.

    Below each prediction are its mean IoU of the seen and of the unseen classes in the image, in per cent. Unseen classes have a hatch
    and a thick contour, and a star in the legend, which lists the classes that occur in the figure.

    Args:
        rows: the images, at least one.
        titles: the name of each model.
        split: gives names and roles.
        options: see there.

    Raises:
        errors.UserError: if the figure is too narrow for its columns.
    """
    palette = colours.colours(len(split.classes))
    figure = mpl_figure.Figure(figsize=(options.width, 1))
    renderer = backend_agg.FigureCanvasAgg(figure).get_renderer()
    n_columns = 2 + len(titles)
    side = (options.width - GAP * (n_columns - 1)) / n_columns
    if side < MIN_SIDE:
        least = n_columns * (MIN_SIDE + GAP) - GAP
        raise errors.UserError(
            f"--width: {n_columns} columns need at least {least:.2g} inches, found {options.width:g}; show fewer models"
        )
    heights = [side * min(MAX_ASPECT, row.truth.shape[0] / row.truth.shape[1]) for row in rows]

    def measured(text: str, size: float) -> float:
        """Return the width of a text in inches."""
        artist = figure.text(0, 0, text, fontsize=size)
        width = artist.get_window_extent(renderer).width / figure.dpi
        artist.remove()
        return width

    captions = [["IoU " + caption(one.seen, one.unseen) for one in row.predictions] for row in rows]
    flat = [text for texts in captions for text in texts]
    if any(measured(text, CAPTION) > side for text in flat):
        captions = [[text.removeprefix("IoU ").replace(", ", "\n") for text in texts] for texts in captions]
    headers = ["Image", "Truth", *(_wrapped(title, side, TITLE, measured) for title in titles)]
    title_height = _lines(headers) * TITLE * LINE / 72
    caption_height = _lines([text for texts in captions for text in texts] + [""]) * CAPTION * LINE / 72 + 0.02
    legend = _legend(figure, renderer, rows, split, palette, options.width)
    legend_height = legend.get_window_extent(renderer).height / figure.dpi
    body = sum(heights) + len(rows) * caption_height + (len(rows) - 1) * ROW_GAP
    note = _wrapped(EXPLANATION, options.width, NOTE, measured)
    note_height = _lines([note]) * NOTE * LINE / 72
    height = title_height + body + LEGEND_GAP + legend_height + LEGEND_GAP + note_height
    figure.set_size_inches(options.width, height)
    legend.set_bbox_to_anchor((0.5, (note_height + LEGEND_GAP) / height), figure.transFigure)
    figure.text(0.5, note_height / height, note, fontsize=NOTE, color="0.3", ha="center", va="top", linespacing=1.05)

    top = height - title_height
    for column, header in enumerate(headers):
        centre = column * (side + GAP) + side / 2
        y = (top + 0.045) / height
        figure.text(centre / options.width, y, header, fontsize=TITLE, ha="center", va="baseline", linespacing=1.05)
    interpolation = "none" if options.vector else "auto"
    for row, panel_height, texts in zip(rows, heights, captions, strict=True):
        top -= panel_height
        below = [row.id, "", *texts]
        for column in range(n_columns):
            left = column * (side + GAP)
            axes = figure.add_axes(
                (left / options.width, top / height, side / options.width, panel_height / height), anchor="C"
            )
            axes.set_axis_off()
            if column == 0:
                axes.imshow(row.image, interpolation=interpolation)
            else:
                labels = row.truth if column == 1 else row.predictions[column - 2].labels
                overlays.draw(axes, row.image, labels, split.unseen, palette, interpolation)
                if options.names:
                    _write_names(axes, labels, split, lambda text: measured(text, NAME) / side)
            figure.text(
                (left + side / 2) / options.width,
                (top - 0.025) / height,
                below[column],
                fontsize=CAPTION,
                ha="center",
                va="top",
                linespacing=1.05,
            )
        top -= caption_height + ROW_GAP
    return figure


def caption(seen: float | None, unseen: float | None) -> str:
    """Return the text below a prediction: the mean IoU of both groups of classes; `-` where the image has none of the group."""
    return f"seen {_number(seen)}, unseen {_number(unseen)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _lines(texts: Sequence[str]) -> int:
    return max(1 + text.count("\n") for text in texts)


def _wrapped(text: str, width: float, size: float, measured: Measured) -> str:
    """Break a text of this font size into lines of at most `width` inches, if its words allow it."""
    return "\n".join(measured_text.wrapped(text, lambda line: measured(line, size) <= width))


def _legend(
    figure: mpl_figure.Figure,
    renderer: backend_agg.RendererAgg,
    rows: Sequence[Example],
    split: splits.Split,
    palette: np.ndarray,
    width: float,
) -> mpl_legend.Legend:
    """Add the legend with as many columns as fit; unseen classes come first."""
    labels = np.unique(np.concatenate([np.unique(one) for one in shown(rows)])).tolist()
    labels.sort(key=lambda label: (label not in split.unseen, label))
    handles = [overlays.entry(label, split, palette) for label in labels]
    n_columns = len(handles)
    while True:
        legend = figure.legend(
            handles=handles,
            ncols=n_columns,
            loc="lower center",
            fontsize=LEGEND,
            frameon=False,
            borderpad=0,
            borderaxespad=0,
            handlelength=1.6,
            handleheight=1.0,
            handletextpad=0.5,
            columnspacing=1.2,
            labelspacing=0.4,
        )
        for label, patch, text in zip(labels, legend.get_patches(), legend.get_texts(), strict=True):
            patch.set_hatch_linewidth(overlays.HATCH_WIDTH)
            text.set_fontweight("bold" if label in split.unseen else "normal")
        if n_columns == 1 or legend.get_window_extent(renderer).width / figure.dpi <= width:
            return legend
        legend.remove()
        n_columns -= 1


def _write_names(
    axes: mpl_axes.Axes, labels: np.ndarray, split: splits.Split, share_of: Callable[[str], float]
) -> None:
    """Write the name of its class on every large segment, at the pixel that is farthest from the segment's border.

    Names are moved to the left or right as far as the panel needs. `share_of` returns a text's share of the panel's width.
    """
    segments = cc3d.connected_components(labels, connectivity=4)
    for segment in np.flatnonzero(np.bincount(segments.ravel()) >= NAMED_SHARE * labels.size):
        region = segments == segment
        label = int(labels[region][0])
        if label in (label_ids.BACKGROUND, label_ids.IGNORE_INDEX):
            continue
        depth = scipy.ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        width = labels.shape[1]
        margin = min(width / 2, width * (BOLD * share_of(split.classes[label]) / 2 + 0.02))
        axes.text(
            min(max(float(x), margin - 0.5), width - 0.5 - margin),
            float(y),
            split.classes[label],
            fontsize=NAME,
            fontweight="bold" if label in split.unseen else "normal",
            ha="center",
            va="center",
            clip_on=True,
            bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
        )
