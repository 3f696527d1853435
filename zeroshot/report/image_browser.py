"""The data of the browser over evaluation images: photographs, label maps and scores of each image, ready for the page."""

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image

from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions, metrics
from zeroshot.figures import colours
from zeroshot.images import label_ids

# Longest side of an image of the page, in pixels. Larger ones are shrunk.
_SIDE = 512
# A photograph up to this side is stored without loss.
_SMALL = 128
# Share of pixels in which label maps may differ from those that metrics were computed from, by rounding on another device.
_ROUNDING = 0.01


def photograph(image: np.ndarray) -> str:
    """Return an image (H, W, 3) uint8 as a data URI, shrunk to the side of the page."""
    picture = PIL.Image.fromarray(image)
    picture.thumbnail((_SIDE, _SIDE))
    if max(picture.size) <= _SMALL:
        return _uri(picture, "PNG")
    return _uri(picture, "JPEG", quality=80)


def label_map(labels: np.ndarray) -> str:
    """Return a label map (H, W) uint16 as a data URI of a PNG in the colours of figures; the background is transparent.

    It is shrunk to the side of the page, by nearest neighbour.
    """
    present, index = np.unique(labels, return_inverse=True)
    index = index.reshape(labels.shape)
    shades = colours.label_palette()[present]
    if len(present) > 256:
        opaque = np.where(labels == label_ids.BACKGROUND, 0, 255).astype(np.uint8)
        return _uri(_shrunk(PIL.Image.fromarray(np.dstack([shades[index], opaque]))), "PNG")
    picture = PIL.Image.fromarray(index.astype(np.uint8))
    picture.putpalette(shades.tobytes())
    options = {"transparency": 0} if present[0] == label_ids.BACKGROUND else {}
    return _uri(_shrunk(picture), "PNG", **options)


def _shrunk(picture: PIL.Image.Image) -> PIL.Image.Image:
    picture.thumbnail((_SIDE, _SIDE), PIL.Image.Resampling.NEAREST)
    return picture


def _uri(picture: PIL.Image.Image, kind: str, **options: Any) -> str:
    content = io.BytesIO()
    picture.save(content, format=kind, optimize=True, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"


def scores(matrix: np.ndarray, split: splits.Split) -> dict[str, Any]:
    """Return the scores of one image for the page, in per cent. Means are over the classes that the image shows.

    Args:
        matrix: confusion matrix (C, C) of the image.
        split: the split.

    Returns:
        {miou, hiou, accuracy, classes}, None where there is no score; `classes` maps the label id of each class with a true or a
        predicted pixel to [number of true pixels, IoU]. The IoU of a class without a true pixel is None.
    """
    summary = metrics.summarise(matrix, split.seen, split.unseen, "skip")
    ious, truth, predicted = metrics.iou(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return {
        "miou": _rounded(summary["all"]["mIoU"]),
        "hiou": _rounded(summary["hIoU"]),
        "accuracy": _rounded(summary["all"]["PA"]),
        "classes": {
            str(label): [int(truth[label]), _rounded(metrics.percent(ious[label]))]
            for label in np.flatnonzero(truth + predicted).tolist()
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def data(
    split: splits.Split,
    images: Iterable[tuple[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]],
    confusions: Mapping[str, image_confusions.ImageConfusions],
) -> dict[str, Any]:
    """Return what page.js shows, as plain values.

    Args:
        split: the split.
        images: id, photograph (H, W, 3) uint8, true labels (h, w) uint16, and the labels (h, w) uint16 that each model predicts.
        confusions: by model, with every image of `images`.

    Returns:
        {classes, models, images, differing}; `differing` has the models whose label maps are not those of `confusions`.
    """
    palette = colours.label_palette()
    shown, n_pixels = [], 0
    n_wrong = dict.fromkeys(confusions, 0)
    for name, image, truth, predictions in images:
        matrices = {model: _matrix(confusion, name) for model, confusion in confusions.items() if model in predictions}
        n_pixels += truth.size
        for model, matrix in matrices.items():
            n_wrong[model] += _n_differing(truth, predictions[model], matrix)
        shown.append(
            {
                "name": name,
                "size": [int(truth.shape[1]), int(truth.shape[0])],
                "photo": photograph(image),
                "truth": label_map(truth),
                "maps": {model: label_map(labels) for model, labels in predictions.items()},
                "scores": {model: scores(matrix, split) for model, matrix in matrices.items()},
            }
        )
    return {
        "classes": [
            {"name": name, "unseen": label in split.unseen, "colour": "#" + palette[label].tobytes().hex()}
            for label, name in enumerate(split.classes)
        ],
        "models": list(confusions),
        "images": shown,
        "differing": [model for model, count in n_wrong.items() if count > _ROUNDING * n_pixels],
    }


def _n_differing(truth: np.ndarray, labels: np.ndarray, matrix: np.ndarray) -> int:
    """Return in how many pixels a label map must differ from that of a confusion matrix; 0 if the matrix has masks of another size."""
    found = metrics.confusion(truth, labels, len(matrix))
    return int(np.abs(found - matrix).sum()) // 2 if found.sum() == matrix.sum() else 0


def _matrix(confusions: image_confusions.ImageConfusions, image: str) -> np.ndarray:
    row = confusions.counts["generalised"][confusions.images.index(image)].toarray()
    return row.reshape(confusions.n_classes, confusions.n_classes)


def by_hash(images: Sequence[str], most: int) -> list[str]:
    """Return at most `most` images, chosen by a hash of their names, so that the choice does not depend on their content."""
    return sorted(images, key=lambda image: hashlib.sha256(image.encode()).digest())[:most]
