"""Instances drawn over their image: boxes, outlines of masks, names and scores; and which of many detections are worth drawing."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pycocotools.mask
from matplotlib import axes as mpl_axes
from matplotlib import patches, patheffects

from zeroshot.datasets import run_lengths
from zeroshot.datasets.instances import class_list
from zeroshot.evaluation.instances import detections
from zeroshot.figures import measured_text, overlays, text_places
from zeroshot.images import label_ids

# Font size of names in points, and white around a name in points.
NAME, PADDING = 6, 1.2
# Widths in points: lines of boxes and outlines of masks, the white below them, lines around names. Dashes in units of the width.
BOX_WIDTH, BOX_CASING, MASK_WIDTH, MASK_CASING, NAME_LINE = 1.2, 2.0, 0.45, 1.1, 0.6
DASHES = (2.6, 1.7)
# As in the charts of this repository.
SEEN, UNSEEN = "#0072B2", "#D55E00"
# Of two detections whose boxes overlap more than this, the surer one is drawn.
MAX_OVERLAP = 0.5
EXPLANATION = f"{overlays.STAR} and dashes: unseen class."


@dataclasses.dataclass(frozen=True)
class Shape:
    """One instance to draw.

    Attributes:
        label: its class.
        box: [x, y, width, height] in pixels.
        mask: compressed run lengths.
        score: None for a true instance.
    """

    label: int
    box: Sequence[float]
    mask: Mapping[str, Any]
    score: float | None


def of_detection(detection: detections.Detection, classes: class_list.InstanceClasses) -> Shape:
    """Return a detected instance to draw."""
    label = classes.label_of(detection["category_id"])
    return Shape(label, detection["bbox"], detection["segmentation"], detection["score"])


def surest_first(detected: Sequence[detections.Detection]) -> list[detections.Detection]:
    """Return detections by falling score; those of equal scores have an order that does not depend on the given one."""
    return sorted(
        detected, key=lambda one: (-one["score"], one["category_id"], one["bbox"], one["segmentation"]["counts"])
    )


def surest_at_each_place(
    detected: Sequence[detections.Detection], most: int | None = None
) -> list[detections.Detection]:
    """Return the detections of an image whose boxes overlap no surer one that is returned by more than `MAX_OVERLAP` (IoU).

    Args:
        detected: as `surest_first` returns them. Their classes do not matter.
        most: how many to return at most; None for any number.
    """
    chosen: list[detections.Detection] = []
    for one in detected:
        if len(chosen) == most:
            break
        overlaps = [_iou(one["bbox"], other["bbox"]) for other in chosen]
        if max(overlaps, default=0) <= MAX_OVERLAP:
            chosen.append(one)
    return chosen


def fit(axes: mpl_axes.Axes, image: np.ndarray) -> None:
    """Show exactly the pixels of an image (H, W, 3) in axes, without ticks."""
    height, width = image.shape[:2]
    axes.set_axis_off()
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)


def draw(
    axes: mpl_axes.Axes,
    image: np.ndarray,
    shapes: Sequence[Shape],
    classes: class_list.InstanceClasses,
    max_names: int,
    panel: tuple[float, float],
) -> None:
    """Draw an image with instances, and the names and scores of the first ones.

    The image is in colour inside of the masks and in light grey elsewhere. Unseen classes have dashed boxes and outlines, and a star
    before their names, so that colour is not needed to see them.

    Args:
        axes: where to draw.
        image: (H, W, 3) uint8.
        shapes: the instances, the most important first.
        classes: names and roles.
        max_names: most names to write.
        panel: (width, height) of the axes in points.
    """
    _draw_shapes(axes, image, shapes, classes)
    _write_names(axes, shapes[:max_names], panel, classes)
    fit(axes, image)


def _draw_shapes(
    axes: mpl_axes.Axes, image: np.ndarray, shapes: Sequence[Shape], classes: class_list.InstanceClasses
) -> None:
    """Draw the image, in colour inside of the masks and in light grey elsewhere, the outlines of the masks, and the boxes."""
    inside = painted(shapes, image.shape[:2]) != label_ids.BACKGROUND
    axes.imshow(np.where(inside[..., None], image, overlays.light_grey(image, image.shape[:2])))
    for shape in reversed(shapes):
        outline = overlays.outline(run_lengths.decode(shape.mask))
        outline.set(edgecolor=overlays.INK, linewidth=MASK_WIDTH)
        x, y, width, height = shape.box
        box = patches.Rectangle((x - 0.5, y - 0.5), width, height, fill=False, **_line(shape, classes, BOX_WIDTH))
        for line, casing_width in ((outline, MASK_CASING), (box, BOX_CASING)):
            line.set_path_effects(
                [patheffects.Stroke(linewidth=casing_width, foreground="white"), patheffects.Normal()]
            )
            axes.add_artist(line)


def _line(shape: Shape, classes: class_list.InstanceClasses, width: float) -> dict[str, Any]:
    """Return the style of the lines around an instance and its name: blue for a seen class, orange and dashed for an unseen one."""
    is_unseen = shape.label in classes.unseen
    return {
        "edgecolor": UNSEEN if is_unseen else SEEN,
        "linestyle": (0, DASHES) if is_unseen else "solid",
        "linewidth": width,
    }


def _write_names(
    axes: mpl_axes.Axes,
    shapes: Sequence[Shape],
    panel: tuple[float, float],
    classes: class_list.InstanceClasses,
) -> None:
    """Write the name of each shape at its box, or where there is room, with a line to the box.

    Args:
        axes: with the image, whose pixels are its units.
        shapes: the instances.
        panel: (width, height) of the axes in points.
        classes: roles.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    names = [_name(shape, classes) for shape in shapes]
    widths = [
        measured_text.width(figure, name, NAME, fontweight=_weight(shape, classes))
        for shape, name in zip(shapes, names, strict=True)
    ]
    points = panel[0] / (axes.get_xlim()[1] + 0.5)
    boxes = [[points * value for value in shape.box] for shape in shapes]
    sizes = [(width + 2 * PADDING, 1.05 * NAME + 2 * PADDING) for width in widths]
    corners = text_places.place(boxes, sizes, panel)

    def pixels(x: float, y: float) -> tuple[float, float]:
        return x / points - 0.5, y / points - 0.5

    white = [patheffects.Stroke(linewidth=MASK_CASING, foreground="white"), patheffects.Normal()]
    for shape, name, size, box, corner in zip(shapes, names, sizes, boxes, corners, strict=True):
        if corner is None:
            continue
        start, end = text_places.shortest_line((*corner, *size), box)
        if math.dist(start, end) > 2 * text_places.GAP:
            x, y = zip(pixels(*start), pixels(*end), strict=True)
            colour = _line(shape, classes, NAME_LINE)["edgecolor"]
            axes.plot(x, y, color=colour, linewidth=NAME_LINE, path_effects=white, zorder=2)
        axes.add_patch(
            patches.Rectangle(
                pixels(*corner), size[0] / points, size[1] / points, facecolor=(1, 1, 1, 0.85), zorder=3,
                **_line(shape, classes, NAME_LINE),
            )
        )  # fmt: skip
        x, y = pixels(corner[0] + PADDING, corner[1] + PADDING + 0.84 * NAME)
        axes.text(x, y, name, fontsize=NAME, fontweight=_weight(shape, classes), va="baseline", ha="left", zorder=4)


def _name(shape: Shape, classes: class_list.InstanceClasses) -> str:
    name = classes.classes[shape.label]
    if shape.label in classes.unseen:
        name = f"{overlays.STAR} {name}"
    return name if shape.score is None else f"{name} {shape.score:.2f}"


def _weight(shape: Shape, classes: class_list.InstanceClasses) -> str:
    return "bold" if shape.label in classes.unseen else "normal"


def painted(shapes: Sequence[Shape], size: tuple[int, int]) -> np.ndarray:
    """Return the label map (H, W) uint16 of masks, smaller ones on top of larger ones."""
    painted = np.full(size, label_ids.BACKGROUND, label_ids.DTYPE)
    masks = [(run_lengths.decode(shape.mask), shape.label) for shape in shapes]
    for mask, label in sorted(masks, key=lambda one: -int(one[0].sum())):
        painted[mask] = label
    return painted


def _iou(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.asarray(pycocotools.mask.iou(np.array([one]), np.array([other]), [0]))[0, 0])
