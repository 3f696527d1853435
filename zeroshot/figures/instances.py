"""The figure of an image with its instances: boxes, masks, names and scores of the truth and of several files of detections."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib import figure as mpl_figure

from zeroshot.base import params
from zeroshot.datasets.instances import class_list
from zeroshot.evaluation import example_images
from zeroshot.evaluation.instances import detections, top1, truth
from zeroshot.figures import instance_shapes, measured_text, output

# Longer side of a panel, space between panels, space at the border, in inches.
SIDE, GAP, BORDER = 2.2, 0.08, 0.04
# Panels side by side; the figure is then as wide as the text of a page.
COLUMNS = 3
# Font sizes in points; a line of text takes this many times its size.
TITLE, CAPTION, NOTE, LINE = 8, 6.5, 6, 1.3
EXPLANATION = (
    f"{instance_shapes.EXPLANATION} Of several detections at one place the surest is drawn, and as many as the truth has "
    "objects. Below: of how many objects the surest detection has the class."
)


@params.section
class Params(example_images.Params):
    """The section `pictures` of zsi/params.yaml, which documents every key."""

    detections: Literal["zsi", "gzsi"]
    max_detections: params.Count


@dataclasses.dataclass(frozen=True)
class Panel:
    """An image with instances: its title, the text below it, and the instances, the most important first."""

    title: str
    caption: str
    shapes: Sequence[instance_shapes.Shape]


def label_maps(true: truth.Truth) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the id of each image as text, and its label map (H, W) uint16, for `example_images.choose`; smaller instances lie on top."""
    instances: dict[int, list[truth.Instance]] = {id: [] for id in true.images}
    for one in true.instances:
        if not one.crowd:
            instances[one.image].append(one)
    for id, image in true.images.items():
        shapes = [instance_shapes.Shape(one.label, one.box, one.mask, None) for one in instances[id]]
        yield str(id), instance_shapes.painted(shapes, image.size)


def true_panel(image: int, true: truth.Truth, labels: Sequence[int]) -> Panel:
    """Return the panel of the true objects of some classes in an image, the largest first."""
    shapes = [
        instance_shapes.Shape(one.label, one.box, one.mask, None)
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
    mine = instance_shapes.surest_first([one for one in detected if one["image_id"] == image])
    drawn = instance_shapes.surest_at_each_place(mine, min(len(objects), max_detections))
    found = top1.find(objects, mine, [image])
    counts = []
    for role, group in roles.items():
        ones = [one for one in found if one.instance.label in group]
        right = sum(one.category == classes.category_ids[one.instance.label] for one in ones)
        counts.append(f"{role} {right} of {len(ones)}" if ones else f"{role} -")
    return Panel(title, ", ".join(counts), [instance_shapes.of_detection(one, classes) for one in drawn])


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
    note = measured_text.wrapped(
        EXPLANATION, lambda text: measured_text.width(figure, text, NOTE) <= 72 * (full_width - 2 * BORDER)
    )
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
            instance_shapes.fit(axes, image)
        else:
            instance_shapes.draw(axes, image, panel.shapes, classes, max_names, (72 * size[0], 72 * size[1]))
        centre = (left + size[0] / 2) / full_width
        figure.text(centre, (top + 0.04) / full_height, panel.title, fontsize=TITLE, ha="center", va="baseline")
        below = (top - size[1] - 0.03) / full_height
        caption = measured_text.cut(
            panel.caption, lambda text: measured_text.width(figure, text, CAPTION) <= 72 * size[0]
        )
        figure.text(centre, below, caption, fontsize=CAPTION, ha="center", va="top")
    for number, line in enumerate(note):
        y = (BORDER + note_height - number * NOTE * LINE / 72) / full_height
        figure.text(BORDER / full_width, y, line, fontsize=NOTE, color="0.3", ha="left", va="top")
    return figure
