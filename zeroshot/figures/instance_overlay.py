"""A photograph with the instances that were found in it, as one picture."""

from collections.abc import Sequence

import numpy as np
import PIL.Image
from matplotlib import figure as mpl_figure
from matplotlib.backends import backend_agg

from zeroshot.datasets import run_lengths
from zeroshot.datasets.instances import class_list
from zeroshot.evaluation.instances import detections
from zeroshot.figures import instance_shapes, measured_text, output

# Longer side of the photograph in the picture, in inches. Texts and lines have sizes in points, so they grow with the picture.
SIDE = 5.0
# Longer side in pixels: a smaller photograph is enlarged, so that names are legible, and a larger one is shrunk.
SIDES = (800, 2400)
# Font size of the line below in points, its height, and the space around it.
NOTE, LINE, GAP = 6, 1.3, 3
EXPLANATION = f"{instance_shapes.EXPLANATION} Of several detections at one place the surest is drawn."
NOTHING = "Nothing was found."


@output.plain_text()
def overlay(
    image: np.ndarray, detected: Sequence[detections.Detection], classes: class_list.InstanceClasses
) -> np.ndarray:
    """Draw instances over their photograph, with names and scores, and below it what the signs mean.

    Args:
        image: (H, W, 3) uint8.
        detected: the instances, the most important first.
        classes: names and roles.

    Returns:
        The picture (h, w, 3) uint8. The photograph in it has the proportions of the image and a longer side within `SIDES`.
    """
    longer = max(image.shape[:2])
    if longer > SIDES[1]:
        image, detected = _shrunk(image, detected, SIDES[1] / longer)
    dpi = max(max(image.shape[:2]), SIDES[0]) / SIDE
    height, width = (72 * SIDE * side / max(image.shape[:2]) for side in image.shape[:2])
    figure = mpl_figure.Figure(figsize=(width / 72, height / 72), dpi=dpi)
    canvas = backend_agg.FigureCanvasAgg(figure)
    lines = measured_text.wrapped(
        EXPLANATION if detected else NOTHING, lambda text: measured_text.width(figure, text, NOTE) <= width - 2 * GAP
    )
    below = GAP + len(lines) * NOTE * LINE
    figure.set_size_inches(width / 72, (height + below) / 72)
    axes = figure.add_axes((0, below / (height + below), 1, height / (height + below)))
    shapes = [instance_shapes.of_detection(one, classes) for one in detected]
    instance_shapes.draw(axes, image, shapes, classes, len(shapes), (width, height))
    for number, line in enumerate(lines):
        y = (below - GAP / 2 - number * NOTE * LINE) / (height + below)
        figure.text(GAP / width, y, line, fontsize=NOTE, color="0.3", ha="left", va="top")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _shrunk(
    image: np.ndarray, detected: Sequence[detections.Detection], factor: float
) -> tuple[np.ndarray, list[detections.Detection]]:
    """Return an image and its instances resized by a factor."""
    size = (max(1, round(factor * image.shape[1])), max(1, round(factor * image.shape[0])))
    smaller: list[detections.Detection] = []
    for one in detected:
        mask = PIL.Image.fromarray(run_lengths.decode(one["segmentation"])).resize(size)
        segmentation = run_lengths.encode(np.asarray(mask))
        smaller.append({**one, "bbox": [factor * value for value in one["bbox"]], "segmentation": segmentation})
    return np.asarray(PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BILINEAR)), smaller
