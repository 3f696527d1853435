"""Pictures of label maps with a legend below: side by side with the image, or laid over it."""

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
# In pixels, at every scale: space between a square and its text.
TEXT_GAP = 4


class _Style:
    """The lengths above and the font, enlarged by `scale`."""

    def __init__(self, scale: float = 1.0) -> None:
        self.margin, self.line, self.swatch = (round(scale * length) for length in (MARGIN, LINE, SWATCH))
        self.font = PIL.ImageFont.load_default(round(scale * FONT_SIZE))

    def step(self, text: str) -> int:
        """Return the width of a legend entry with this text and of the two margins behind it, in pixels."""
        return self.swatch + TEXT_GAP + round(self.font.getlength(text)) + 2 * self.margin


def compare(
    image: np.ndarray,
    label_maps: Mapping[str, np.ndarray],
    classes: Sequence[str],
    unseen: Sequence[int],
    panel_side: int,
    binary_maps: Mapping[str, np.ndarray] | None = None,
) -> PIL.Image.Image:
    """Draw an image and its label maps in a row, each with a caption above it, and a legend of all classes in the maps below.

    Args:
        image: (H, W, 3) uint8.
        label_maps: caption -> (h, w) uint16; the size may differ from that of the image.
        classes: names in label order.
        unseen: label ids, marked "(unseen)" in the legend.
        panel_side: longer side of each panel, in pixels. Maps are resized by nearest neighbour, the image bilinearly.
        binary_maps: caption -> (h, w) bool, drawn after the label maps: white where true, black elsewhere. None: none.
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
    for caption, mask in (binary_maps or {}).items():
        grey = np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(3, axis=-1)
        panels[caption] = PIL.Image.fromarray(grey).resize(size, PIL.Image.Resampling.NEAREST)
    style = _Style()
    full_width = style.margin + len(panels) * (size[0] + style.margin)
    body = PIL.Image.new("RGB", (full_width, style.margin + style.line + size[1]), "white")
    draw = PIL.ImageDraw.Draw(body)
    for number, (caption, panel) in enumerate(panels.items()):
        left = style.margin + number * (size[0] + style.margin)
        draw.text((left, style.margin), caption, fill="black", font=style.font)
        body.paste(panel, (left, style.margin + style.line))
    shown = np.unique(np.concatenate([labels.ravel() for labels in label_maps.values()]))
    return _with_legend(body, _legend(shown, classes, unseen), palette, style)


def overlay(
    image: np.ndarray, labels: np.ndarray, classes: Sequence[str], unseen: Sequence[int], colours: np.ndarray
) -> PIL.Image.Image:
    """Lay the colours of a label map over its image, half transparent, and put a legend of the classes in it below.

    The background is left as it is. The text grows with the image. A name that is wider than the image makes the picture wider.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) uint16.
        classes: names in label order.
        unseen: label ids, marked "(unseen)" in the legend.
        colours: (C, 3) uint8, the colour of each class.
    """
    painted = (image.astype(np.uint16) + colours[labels]) // 2
    body = PIL.Image.fromarray(np.where((labels == label_ids.BACKGROUND)[..., None], image, painted).astype(np.uint8))
    style = _Style(max(1.0, max(image.shape[:2]) / 800))
    return _with_legend(body, _legend(np.unique(labels), classes, unseen), colours, style)


def cut_margin(labels: np.ndarray, margin: int) -> np.ndarray:
    """Return a label map (H + 2 m, W + 2 m) of a network with a margin m as that of its image, (H, W), as a view."""
    return labels[margin : labels.shape[0] - margin, margin : labels.shape[1] - margin]


def _with_legend(
    body: PIL.Image.Image, entries: Sequence[tuple[int, str]], colours: np.ndarray, style: "_Style"
) -> PIL.Image.Image:
    """Return a picture of (label, text) entries below `body`. It is wider than `body` where an entry does not fit into one line."""
    steps = [style.step(text) for _, text in entries]
    width = max([body.width, *steps])
    positions, n_lines = _flow(steps, width, style)
    top = body.height + style.margin
    picture = PIL.Image.new("RGB", (width, top + n_lines * style.line + style.margin), "white")
    picture.paste(body)
    draw = PIL.ImageDraw.Draw(picture)
    for (label, text), (x, line) in zip(entries, positions, strict=True):
        y = top + line * style.line
        draw.rectangle((x, y, x + style.swatch - 1, y + style.swatch - 1), fill=tuple(colours[label].tolist()))
        draw.text((x + style.swatch + TEXT_GAP, y - 2), text, fill="black", font=style.font)
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


def _flow(steps: Sequence[int], full_width: int, style: _Style) -> tuple[list[tuple[int, int]], int]:
    """Place legend entries of `_Style.step` pixels from left to right, line by line; return each (x, line) and the line count."""
    positions: list[tuple[int, int]] = []
    x, line = style.margin, 0
    for step in steps:
        if x > style.margin and x + step - style.margin > full_width:
            x, line = style.margin, line + 1
        positions.append((x, line))
        x += step
    return positions, line + 1
