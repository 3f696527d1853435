"""Pictures that compare methods: an image, its ground truth and each method's prediction in VOC's colours, with a legend below."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from zeroshot.base import storage
from zeroshot.images import label_ids

# In pixels: space between panels, height of a line of text, side of a colour square in the legend, font size.
MARGIN, LINE, SWATCH, FONT_SIZE = 8, 20, 12, 13


def compare(
    image: np.ndarray,
    label_maps: Mapping[str, np.ndarray],
    classes: Sequence[str],
    unseen: Sequence[int],
    panel_side: int,
) -> PIL.Image.Image:
    """Draw an image and its label maps in a row, each with a caption above it, and a legend of all classes in the maps below.

    Args:
        image: (H, W, 3) uint8.
        label_maps: caption -> (h, w) uint16; the size may differ from that of the image.
        classes: names in label order.
        unseen: label ids, marked "(unseen)" in the legend.
        panel_side: longer side of each panel, in pixels. Maps are resized by nearest neighbour, the image bilinearly.
    """
    height, width = image.shape[:2]
    size = (
        max(1, round(width * panel_side / max(height, width))),
        max(1, round(height * panel_side / max(height, width))),
    )
    palette = label_ids.palette()
    panels = {"image": PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BILINEAR)}
    for caption, labels in label_maps.items():
        panels[caption] = PIL.Image.fromarray(palette[labels]).resize(size, PIL.Image.Resampling.NEAREST)
    font = PIL.ImageFont.load_default(FONT_SIZE)
    full_width = MARGIN + len(panels) * (size[0] + MARGIN)
    entries = _legend(np.unique(np.concatenate([labels.ravel() for labels in label_maps.values()])), classes, unseen)
    positions, n_lines = _flow([font.getlength(text) for _, text in entries], full_width)

    top = MARGIN + LINE + size[1] + MARGIN
    picture = PIL.Image.new("RGB", (full_width, top + n_lines * LINE + MARGIN), "white")
    draw = PIL.ImageDraw.Draw(picture)
    for number, (caption, panel) in enumerate(panels.items()):
        left = MARGIN + number * (size[0] + MARGIN)
        draw.text((left, MARGIN), caption, fill="black", font=font)
        picture.paste(panel, (left, MARGIN + LINE))
    for (label, text), (x, line) in zip(entries, positions, strict=True):
        y = top + line * LINE
        draw.rectangle((x, y, x + SWATCH - 1, y + SWATCH - 1), fill=tuple(palette[label].tolist()))
        draw.text((x + SWATCH + 4, y - 2), text, fill="black", font=font)
    return picture


def write(path: str | pathlib.Path, picture: PIL.Image.Image) -> None:
    """Write a picture as PNG, atomically; equal pictures give equal bytes."""
    with storage.writing(path) as file:
        picture.save(file, format="PNG")


def _legend(labels: np.ndarray, classes: Sequence[str], unseen: Sequence[int]) -> list[tuple[int, str]]:
    """Return (label, legend text) for each of the labels (n,) uint16, unseen classes first."""
    texts = {label: f"{classes[label]} (unseen)" for label in labels.tolist() if label in unseen}
    texts |= {label: classes[label] for label in labels.tolist() if label < len(classes) and label not in unseen}
    if label_ids.IGNORE_INDEX in labels:
        texts[label_ids.IGNORE_INDEX] = "not scored"
    return list(texts.items())


def _flow(widths: Sequence[float], full_width: int) -> tuple[list[tuple[int, int]], int]:
    """Place legend entries with these text widths (pixels) from left to right, line by line; return each (x, line) and the line count."""
    positions: list[tuple[int, int]] = []
    x, line = MARGIN, 0
    for width in widths:
        step = SWATCH + 4 + round(width) + 2 * MARGIN
        if x > MARGIN and x + step - MARGIN > full_width:
            x, line = MARGIN, line + 1
        positions.append((x, line))
        x += step
    return positions, line + 1
