"""Annotations of labelme: one JSON file for each image, with polygons, rectangles, circles and small masks."""

import base64
import io
import json
import math
import pathlib
from collections.abc import Collection, Sequence

import numpy as np
import PIL.Image
import pydantic
import typing_extensions

from zeroshot.base import errors, text_files
from zeroshot.images import image_files
from zeroshot.own_data import annotations, class_list

# Corners of the polygon that stands for a circle.
_N_CORNERS = 90


class _Shape(typing_extensions.TypedDict):
    __pydantic_config__ = pydantic.ConfigDict(allow_inf_nan=False)  # type: ignore[misc]
    label: str
    points: list[tuple[float, float]]
    shape_type: typing_extensions.NotRequired[str | None]
    mask: typing_extensions.NotRequired[str | None]


class _File(typing_extensions.TypedDict):
    shapes: list[_Shape]
    imagePath: str
    imageHeight: pydantic.PositiveInt
    imageWidth: pydantic.PositiveInt


_FILE = pydantic.TypeAdapter(_File)


def is_one(path: pathlib.Path) -> bool:
    """Return whether a JSON file has labelme's shapes."""
    try:
        content = json.loads(text_files.read(path))
    except (errors.UserError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "shapes" in content


def read(files: Sequence[pathlib.Path], images: Collection[str], faults: errors.Faults) -> annotations.Annotations:
    """Read files of labelme. An image whose file has no shape counts as not annotated. The classes are in alphabetical order.

    Args:
        files: a JSON file for each image.
        images: ids of the images on the disk.
        faults: receives what does not fit together.

    Raises:
        errors.UserError: if a file is not labelme's.
    """
    contents = {path: annotations.read_json(path, _FILE, "labelme") for path in files}
    names = [class_list.BACKGROUND]
    for label in sorted({shape["label"] for content in contents.values() for shape in content["shapes"]}):
        class_list.place(names, label)
    outlines: dict[str, annotations.Outlines] = {}
    for path, content in contents.items():
        id, size = annotations.image_id(content["imagePath"]), (content["imageHeight"], content["imageWidth"])
        if id not in images:
            faults.add("image of the annotations does not exist", f"{path}: {content['imagePath']}")
        if id in outlines:
            faults.add("image is described twice", f"{outlines[id].where} and {path}")
        found = []
        for number, shape in enumerate(content["shapes"]):
            kind, where = shape.get("shape_type") or "polygon", f"{path}: shape {number}, {shape['label']}"
            region = _region(where, class_list.place(names, shape["label"]), kind, shape, size)
            if region is None:
                faults.add("shape that is no area; draw a polygon, or remove it", f"{where}: {kind}")
            else:
                found.append(region)
        if found:
            outlines[id] = annotations.Outlines(str(path), size, tuple(found))
    return annotations.Annotations(names, outlines, {})


def _region(where: str, value: int, kind: str, shape: _Shape, size: tuple[int, int]) -> annotations.Region | None:
    """Return the region of a shape; None if it is none."""
    points = shape["points"]
    if kind in ("polygon", "oriented_rectangle"):
        return annotations.Region(where, value, [[value for point in points for value in point]])
    if len(points) != 2:
        return None
    (left, top), (right, bottom) = points
    if kind == "rectangle":
        return annotations.Region(where, value, [[left, top, right, top, right, bottom, left, bottom]])
    if kind == "circle":
        radius = math.dist(*points)
        turns = [2 * math.pi * corner / _N_CORNERS for corner in range(_N_CORNERS)]
        corners = [(left + radius * math.cos(turn), top + radius * math.sin(turn)) for turn in turns]
        return annotations.Region(where, value, [[value for point in corners for value in point]])
    runs = _runs(shape.get("mask") or "", left, top, size) if kind == "mask" else None
    return annotations.Region(where, value, {"size": size, "counts": runs}) if runs else None


def _runs(text: str, left: float, top: float, size: tuple[int, int]) -> list[int] | None:
    """Return the run lengths of a small mask, a PNG in base64 whose first pixel lies at (left, top); None if it is damaged."""
    try:
        with PIL.Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as image:
            if max(image.width * image.height, size[0] * size[1]) > image_files.MAX_PIXELS:
                return None
            small = np.array(image.convert("L")) > 0
    except Exception:  # A decoder may raise anything on a broken file.
        return None
    (height, width), column, row = small.shape, int(left), int(top)
    mask = np.zeros(size, bool)
    if column < 0 or row < 0 or mask[row : row + height, column : column + width].shape != small.shape:
        return None
    mask[row : row + height, column : column + width] = small
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    # The first run is outside.
    return np.diff([*([0] if flat[0] else []), 0, *changes.tolist(), flat.size]).tolist()
