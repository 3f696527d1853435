"""A label map over its photograph: colours, contours and hatches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from matplotlib import patches
from matplotlib import path as mpl_path

from zeroshot.datasets import splits
from zeroshot.images import label_ids

if TYPE_CHECKING:
    from matplotlib import axes as mpl_axes

# Share of the class's colour in a tinted pixel; the rest is the grey photograph.
TINT = 0.7
# The photograph's grey values become this and lighter, so that colours stand out from it.
DARKEST = 80
# The grey below a tint in the legend, and that of pixels that are not scored.
MID_GREY, IGNORED = 165, 225
# Widths of the contours of seen and unseen classes and of the lines of a hatch, in points.
SEEN_WIDTH, UNSEEN_WIDTH, HATCH_WIDTH = 0.35, 0.9, 0.3
UNSEEN_HATCH, IGNORED_HATCH = "/////", "..."
INK = "black"
# Luma of a tint, 0 to 255, below which lines on it are white.
DARK_TINT = 105
# Before the name of an unseen class.
STAR = "\N{BLACK STAR}"
NOT_SCORED = "not scored"


def tinted(image: np.ndarray, labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the photograph in grey, under the half-transparent colours of its classes.

    The background has no tint, since it is most of many images. Pixels to ignore are plain grey.

    Args:
        image: (h, w, 3) uint8; it is resized to the label map.
        labels: (H, W) uint16.
        palette: (C, 3) uint8, the colour of each label id.

    Returns:
        (H, W, 3) uint8.
    """
    picture = light_grey(image, (labels.shape[0], labels.shape[1]))
    classes = (labels != label_ids.BACKGROUND) & (labels != label_ids.IGNORE_INDEX)
    picture[classes] = blended(picture[classes], palette[labels[classes]])
    picture[labels == label_ids.IGNORE_INDEX] = IGNORED
    return picture


def light_grey(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a photograph (h, w, 3) uint8 in grey values from `DARKEST` to white, (H, W, 3) uint8, resized to this (height, width)."""
    grey = PIL.Image.fromarray(image).convert("L").resize((size[1], size[0]), PIL.Image.Resampling.BILINEAR)
    light = DARKEST + np.asarray(grey, np.float64) * (255 - DARKEST) / 255
    return np.repeat(np.round(light).astype(np.uint8)[..., None], 3, axis=2)


def blended(grey: np.ndarray | int, colours: np.ndarray) -> np.ndarray:
    """Return colours (..., 3) uint8 half transparent over grey values that broadcast to them, as uint8."""
    return np.round(TINT * colours + (1 - TINT) * np.asarray(grey, np.float64)).astype(np.uint8)


def contours(labels: np.ndarray) -> np.ndarray:
    """Return the edges between pixels of different labels, as few straight lines as possible.

    Args:
        labels: (H, W) of any integer type.

    Returns:
        (n, 2, 2) float64: the x and y of both ends of each line, where the centre of pixel (y, x) is at (x, y).
    """
    # Transposed, the edges above pixels are the edges left of pixels.
    upright, level = _upright(labels), _upright(labels.T)[..., ::-1]
    return np.concatenate([upright, level])


def _upright(labels: np.ndarray) -> np.ndarray:
    """Return the upright lines of `contours`."""
    differs = (labels[:, 1:] != labels[:, :-1]).T
    # Column by column, 1 where a line begins and -1 behind its last pixel.
    turns = np.diff(np.pad(differs, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (x, top), (_, bottom) = np.nonzero(turns == 1), np.nonzero(turns == -1)
    return np.stack([np.stack([x + 0.5, top - 0.5], axis=1), np.stack([x + 0.5, bottom - 0.5], axis=1)], axis=1)


def draw(
    axes: "mpl_axes.Axes",
    image: np.ndarray,
    labels: np.ndarray,
    unseen: Sequence[int],
    palette: np.ndarray,
    interpolation: str,
) -> None:
    """Draw a label map over its photograph. Unseen classes have a hatch and a thick contour, so that colour is not needed to see them.

    Args:
        axes: where to draw.
        image: (h, w, 3) uint8.
        labels: (H, W) uint16.
        unseen: label ids.
        palette: (C, 3) uint8.
        interpolation: matplotlib's, for images.
    """
    axes.imshow(tinted(image, labels, palette), interpolation=interpolation)
    is_unseen = np.isin(labels, unseen)
    for label in np.unique(labels[is_unseen]).tolist():
        _hatch(axes, labels == label, UNSEEN_HATCH, hatch_colour(palette[label]))
    _hatch(axes, labels == label_ids.IGNORE_INDEX, IGNORED_HATCH, INK)
    # Pixels to ignore surround many objects, and a second contour around them would say nothing.
    segments = np.where(labels == label_ids.IGNORE_INDEX, label_ids.BACKGROUND, labels)
    only_unseen = np.where(is_unseen, labels, label_ids.BACKGROUND)
    for regions, line_width in ((segments, SEEN_WIDTH), (only_unseen, UNSEEN_WIDTH)):
        lines = outline(regions)
        lines.set(edgecolor=INK, linewidth=line_width)
        axes.add_artist(lines)


def outline(labels: np.ndarray) -> patches.PathPatch:
    """Return the edges between pixels of different labels (H, W), of any integer type or bool, to style and to add to axes."""
    lines = contours(labels)
    codes = np.tile([mpl_path.Path.MOVETO, mpl_path.Path.LINETO], len(lines))
    return patches.PathPatch(mpl_path.Path(lines.reshape(-1, 2), codes), fill=False, capstyle="projecting")


def hatch_colour(colour: np.ndarray) -> str:
    """Return the colour of a hatch over the tint of a class with this colour (3,) uint8: white over a dark one."""
    luma = blended(MID_GREY, colour) @ [0.299, 0.587, 0.114]
    return "white" if luma < DARK_TINT else INK


def _hatch(axes: "mpl_axes.Axes", region: np.ndarray, hatch: str, colour: str) -> None:
    """Hatch a region (H, W) bool, up to the border of the image where it reaches the border."""
    if not region.any():
        return
    limits = axes.get_xlim(), axes.get_ylim()
    height, width = region.shape
    filled = axes.contourf(
        np.arange(-1, width + 1),
        np.arange(-1, height + 1),
        np.pad(region, 1, mode="edge").astype(np.float32),
        levels=[0.5, 1.5],
        colors="none",
        hatches=[hatch],
    )
    filled.set_edgecolor(colour)
    filled.set_linewidth(0)
    filled.set_hatch_linewidth(HATCH_WIDTH)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])


def entry(label: int, split: splits.Split, palette: np.ndarray) -> patches.Patch:
    """Return the patch of a label id in a legend, which looks as its segments do.

    Args:
        label: a label id of the split, or `label_ids.IGNORE_INDEX`.
        split: gives names and roles.
        palette: (C, 3) uint8.
    """
    if label == label_ids.IGNORE_INDEX:
        return _patch(np.full(3, IGNORED), NOT_SCORED, SEEN_WIDTH, IGNORED_HATCH)
    if label == label_ids.BACKGROUND:
        return _patch(np.full(3, MID_GREY), split.classes[label], SEEN_WIDTH, None)
    tint = blended(MID_GREY, palette[label])
    if label in split.unseen:
        name = f"{STAR} {split.classes[label]}"
        return _patch(tint, name, UNSEEN_WIDTH, UNSEEN_HATCH, hatch_colour(palette[label]))
    return _patch(tint, split.classes[label], SEEN_WIDTH, None)


def _patch(
    colour: np.ndarray, text: str, line_width: float, hatch: str | None, hatch_colour: str = INK
) -> patches.Patch:
    return patches.Patch(
        facecolor=tuple((colour / 255).tolist()),
        edgecolor=INK,
        linewidth=line_width,
        hatch=hatch,
        hatchcolor=hatch_colour,
        label=text,
    )
