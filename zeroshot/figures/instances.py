"""The figure of an image with its instances: boxes, masks, names and scores of the truth and of several files of detections."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pycocotools.mask
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import patches, patheffects
from matplotlib.backends import backend_agg

from zeroshot.base import params
from zeroshot.datasets.instances import class_list
from zeroshot.evaluation import example_images
from zeroshot.evaluation.instances import detections, top1, truth
from zeroshot.figures import output, overlays, text_places
from zeroshot.images import label_ids

# Longer side of a panel, space between panels, space at the border, in inches.
SIDE, GAP, BORDER = 2.2, 0.08, 0.04
# Panels side by side; the figure is then as wide as the text of a page.
COLUMNS = 3
# Font sizes in points; a line of text takes this many times its size.
TITLE, NAME, CAPTION, NOTE, LINE = 8, 6, 6.5, 6, 1.3
# White around a name in points.
PADDING = 1.2
# Widths in points: lines of boxes and outlines of masks, the white below them, lines around names. Dashes in units of the width.
BOX_WIDTH, BOX_CASING, MASK_WIDTH, MASK_CASING, NAME_LINE = 1.2, 2.0, 0.45, 1.1, 0.6
DASHES = (2.6, 1.7)
# As in the charts of this repository.
SEEN, UNSEEN = "#0072B2", "#D55E00"
# Of two detections whose boxes overlap more than this, the surer one is drawn.
MAX_OVERLAP = 0.5
EXPLANATION = (
    f"{overlays.STAR} and dashes: unseen class. Of several detections at one place the surest is drawn, and as many as the truth has "
    "objects. Below: of how many objects the surest detection has the class."
)


@params.section
class Params(example_images.Params):
    """The section `pictures` of zsi/params.yaml, which documents every key."""

    detections: Literal["zsi", "gzsi"]
    max_detections: params.Count


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


@dataclasses.dataclass(frozen=True)
class Panel:
    """An image with instances: its title, the text below it, and the instances, the most important first."""

    title: str
    caption: str
    shapes: Sequence[Shape]


def label_maps(true: truth.Truth) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the id of each image as text, and its label map (H, W) uint16, for `example_images.choose`; smaller instances lie on top."""
    instances: dict[int, list[truth.Instance]] = {id: [] for id in true.images}
    for one in true.instances:
        if not one.crowd:
            instances[one.image].append(one)
    for id, image in true.images.items():
        yield str(id), _painted([Shape(one.label, one.box, one.mask, None) for one in instances[id]], image.size)


def true_panel(image: int, true: truth.Truth, labels: Sequence[int]) -> Panel:
    """Return the panel of the true objects of some classes in an image, the largest first."""
    shapes = [
        Shape(one.label, one.box, one.mask, None)
        for one in true.instances
        if one.image == image and one.label in labels and not one.crowd
    ]
    shapes.sort(key=lambda shape: -shape.box[2] * shape.box[3])
    return Panel("Truth", f"{len(shapes)} object{'' if len(shapes) == 1 else 's'}", shapes)


def detected_panel(
    title: str,
    image: int,
    true: truth.Truth,
    detected: Sequence[detections.Detection],
    classes: class_list.InstanceClasses,
    roles: Mapping[str, Sequence[int]],
    max_detections: int,
) -> Panel:
    """Return the panel of detections in an image: the surest at each place, as many as there are true objects.

    Scores of different scorings have different scales, so no threshold would treat them alike.

    Args:
        title: name of the detections.
        image: id of the image.
        true: the true instances.
        detected: detections; those of other images are left out.
        classes: the classes.
        roles: role -> labels of the classes that count.
        max_detections: most detections to draw.
    """
    labels = [label for group in roles.values() for label in group]
    objects = [one for one in true.instances if one.image == image and one.label in labels and not one.crowd]
    mine = sorted(
        (one for one in detected if one["image_id"] == image),
        key=lambda one: (-one["score"], one["category_id"], one["bbox"], one["segmentation"]["counts"]),
    )
    drawn: list[detections.Detection] = []
    for one in mine:
        if len(drawn) == min(len(objects), max_detections):
            break
        overlaps = [_iou(one["bbox"], other["bbox"]) for other in drawn]
        if max(overlaps, default=0) <= MAX_OVERLAP:
            drawn.append(one)
    found = top1.find(objects, mine, [image])
    counts = []
    for role, group in roles.items():
        ones = [one for one in found if one.instance.label in group]
        right = sum(one.category == classes.category_ids[one.instance.label] for one in ones)
        counts.append(f"{role} {right} of {len(ones)}" if ones else f"{role} -")
    shapes = [
        Shape(classes.label_of(one["category_id"]), one["bbox"], one["segmentation"], one["score"]) for one in drawn
    ]
    return Panel(title, ", ".join(counts), shapes)


@output.plain_text()
def draw(
    image: np.ndarray,
    file_name: str,
    panels: Sequence[Panel],
    classes: class_list.InstanceClasses,
    max_names: int,
    panel_side: int,
) -> mpl_figure.Figure:
    """Draw an image, and beside it the image with the instances of each panel.

    Unseen classes have dashed boxes and outlines, and a star before their names, so that colour is not needed to see them.

    Args:
        image: (H, W, 3) uint8.
        file_name: for the caption.
        panels: what to draw over the image.
        classes: names and roles.
        max_names: most names in a panel; they belong to the first instances.
        panel_side: longer side of a panel in pixels, from which the resolution of the figure follows.
    """
    height, width = image.shape[:2]
    side = SIDE / max(height, width)
    size = (width * side, height * side)
    n_rows = math.ceil((len(panels) + 1) / COLUMNS)
    n_columns = math.ceil((len(panels) + 1) / n_rows)
    title_height, caption_height = TITLE * LINE / 72, CAPTION * LINE / 72 + 0.02
    row_height = title_height + size[1] + caption_height
    full_width = 2 * BORDER + n_columns * size[0] + (n_columns - 1) * GAP
    figure = mpl_figure.Figure(figsize=(full_width, 1), dpi=panel_side / SIDE)
    renderer = backend_agg.FigureCanvasAgg(figure).get_renderer()

    def measured(text: str, font: float, **style: Any) -> float:
        """Return the width of a text in points."""
        artist = figure.text(0, 0, text, fontsize=font, **style)
        points = artist.get_window_extent(renderer).width / figure.dpi * 72
        artist.remove()
        return points

    note = _wrapped(EXPLANATION, lambda text: measured(text, NOTE) <= 72 * (full_width - 2 * BORDER))
    note_height = len(note) * NOTE * LINE / 72
    full_height = 2 * BORDER + n_rows * row_height + (n_rows - 1) * GAP + note_height + GAP
    figure.set_size_inches(full_width, full_height)
    for number, panel in enumerate([Panel("Image", file_name, ()), *panels]):
        row, column = divmod(number, n_columns)
        left = BORDER + column * (size[0] + GAP)
        top = full_height - BORDER - row * (row_height + GAP) - title_height
        axes = figure.add_axes(
            (left / full_width, (top - size[1]) / full_height, size[0] / full_width, size[1] / full_height)
        )
        if number == 0:
            axes.imshow(image)
        else:
            _draw_shapes(axes, image, panel.shapes, classes)
            named = panel.shapes[:max_names]
            names = [_name(shape, classes) for shape in named]
            widths = [
                measured(name, NAME, fontweight=_weight(shape, classes))
                for shape, name in zip(named, names, strict=True)
            ]
            _write_names(axes, named, names, widths, (72 * size[0], 72 * size[1]), classes)
        axes.set_axis_off()
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)
        centre = (left + size[0] / 2) / full_width
        figure.text(centre, (top + 0.04) / full_height, panel.title, fontsize=TITLE, ha="center", va="baseline")
        below = (top - size[1] - 0.03) / full_height
        caption = _cut(panel.caption, lambda text: measured(text, CAPTION) <= 72 * size[0])
        figure.text(centre, below, caption, fontsize=CAPTION, ha="center", va="top")
    for number, line in enumerate(note):
        y = (BORDER + note_height - number * NOTE * LINE / 72) / full_height
        figure.text(BORDER / full_width, y, line, fontsize=NOTE, color="0.3", ha="left", va="top")
    return figure


def _draw_shapes(
    axes: mpl_axes.Axes, image: np.ndarray, shapes: Sequence[Shape], classes: class_list.InstanceClasses
) -> None:
    """Draw the image, in colour inside of the masks and in light grey elsewhere, the outlines of the masks, and the boxes."""
    inside = _painted(shapes, image.shape[:2]) != label_ids.BACKGROUND
    axes.imshow(np.where(inside[..., None], image, overlays.light_grey(image, image.shape[:2])))
    for shape in reversed(shapes):
        outline = overlays.outline(_decoded(shape.mask))
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
    names: Sequence[str],
    widths: Sequence[float],
    panel: tuple[float, float],
    classes: class_list.InstanceClasses,
) -> None:
    """Write the name of each shape at its box, or where there is room, with a line to the box.

    Args:
        axes: with the image, whose pixels are its units.
        shapes: the instances.
        names: what to write at each.
        widths: the width of each name in points.
        panel: (width, height) of the axes in points.
        classes: roles.
    """
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


def _painted(shapes: Sequence[Shape], size: tuple[int, int]) -> np.ndarray:
    """Return the label map (H, W) uint16 of masks, smaller ones on top of larger ones."""
    painted = np.full(size, label_ids.BACKGROUND, label_ids.DTYPE)
    masks = [(_decoded(shape.mask), shape.label) for shape in shapes]
    for mask, label in sorted(masks, key=lambda one: -int(one[0].sum())):
        painted[mask] = label
    return painted


def _decoded(mask: Mapping[str, Any]) -> np.ndarray:
    runs: Any = mask
    return pycocotools.mask.decode(runs).astype(bool)


def _iou(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.asarray(pycocotools.mask.iou(np.array([one]), np.array([other]), [0]))[0, 0])


def _wrapped(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Break a text into lines that fit, if its words allow it."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and not fits(longer):
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _cut(text: str, fits: Callable[[str], bool]) -> str:
    """Return a text, or its beginning that fits."""
    if fits(text):
        return text
    while text and not fits(text + "…"):
        text = text[:-1]
    return text + "…"
