"""Run lengths of masks: of outlines in COCO's layout, all checked before they are trusted, and to and from arrays of pixels."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pycocotools.mask
import pydantic
import typing_extensions

from zeroshot.base import errors

# One count of COCO's compressed run lengths: six bits a character, of which one says that more follow.
_COUNT = r"[P-o]{0,6}[0-O]"


class RunLengths(typing_extensions.TypedDict):
    """The (height, width) of an image, and lengths of runs outside and inside in turn, down the columns, or COCO's compressed text."""

    size: tuple[int, int]
    counts: list[int] | str


class Compressed(typing_extensions.TypedDict):
    """A mask as COCO's compressed run lengths, of the (height, width) of its image."""

    __pydantic_config__ = pydantic.ConfigDict(strict=True, extra="forbid")  # type: ignore[misc]
    size: Annotated[list[int], pydantic.Field(min_length=2, max_length=2)]
    counts: Annotated[str, pydantic.Field(min_length=1)]


# The pixels of an object, `segmentation` in COCO's JSON: x and y of each corner in turn, in pixels, of each polygon; or run lengths.
Outline = list[list[float]] | RunLengths


class OutlineError(errors.UserError):
    """Raised if an outline gives no pixels; the text is the cause alone, without the place."""


def encode(mask: np.ndarray) -> Compressed:
    """Return the compressed run lengths of a mask (H, W) bool."""
    # The type stubs of pycocotools have another type than its function returns.
    runs: Any = pycocotools.mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [*mask.shape], "counts": runs["counts"].decode()}


def decode(runs: Mapping[str, Any]) -> np.ndarray:
    """Return the mask (H, W) bool of `Compressed` run lengths.

    Those of a file must have passed `count`, since damaged ones give any mask, or none.
    """
    # The type stubs of pycocotools have another type than its function takes.
    segmentation: Any = runs
    return pycocotools.mask.decode(segmentation).astype(bool)


def annotation(mask: np.ndarray, category_id: int) -> dict[str, Any]:
    """Return an object with the pixels `mask`, (H, W) bool, as an annotation of COCO's layout without ids."""
    segmentation: Any = encode(mask)
    return {
        "category_id": category_id,
        "bbox": pycocotools.mask.toBbox(segmentation).tolist(),
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": segmentation,
    }


def is_empty(outline: Outline) -> bool:
    """Return whether an outline has no polygon and no run."""
    return not (outline["counts"] if isinstance(outline, dict) else outline)


def count(outline: Outline, size: tuple[int, int]) -> Sequence[int]:
    """Return the run lengths of an outline, which fill the image.

    Args:
        outline: one that is not empty.
        size: (height, width) of the image.

    Raises:
        OutlineError: if a polygon is none or is far outside of the image, or the run lengths are damaged or of another size.
    """
    fault = _fault(outline, size)
    if fault is not None:
        raise OutlineError(fault)
    counts = _counts(outline["counts"] if isinstance(outline, dict) else _fill(outline, size))
    if min(counts) < 0 or sum(counts) != size[0] * size[1]:
        raise OutlineError("damaged run lengths: they do not fill the image")
    return counts


def _fault(outline: Outline, size: tuple[int, int]) -> str | None:
    """Return what is wrong with an outline before its pixels are counted."""
    height, width = size
    if isinstance(outline, dict):
        if outline["size"] != size:
            return f"run lengths of another size than the image, {width} x {height}"
        if isinstance(outline["counts"], str) and not re.fullmatch(f"(?:{_COUNT})*", outline["counts"]):
            return "damaged run lengths"
        return None
    for polygon in outline:
        if len(polygon) % 2:
            return "polygon with an odd number of coordinates"
        if len(polygon) < 6:
            return "polygon with fewer than 3 points"
        # The time and memory of filling grow with the length of the outline, within the image or not.
        for side, values in ((width, polygon[::2]), (height, polygon[1::2])):
            if min(values) < -side or max(values) > 2 * side:
                return f"polygon far outside of the image, which is {width} x {height}"
    return None


def _fill(polygons: list[list[float]], size: tuple[int, int]) -> str:
    """Return compressed run lengths of the union of polygons."""
    # The type stubs of pycocotools know whole numbers only, and text where there are bytes.
    corners: Any = polygons
    counts: Any = pycocotools.mask.merge(pycocotools.mask.frPyObjects(corners, *size))["counts"]
    return counts.decode()


def _counts(runs: Sequence[int] | str) -> Sequence[int]:
    """Return run lengths; of compressed ones, each is five bits a character, from the fourth on the difference to the last but one.

    pycocotools.mask.decode does not check that they fill the image, and returns memory that nobody wrote.
    """
    if not isinstance(runs, str):
        return runs
    counts: list[int] = []
    for text in re.findall(_COUNT, runs):
        bits = [ord(character) - 48 for character in text]
        count = sum((part & 31) << 5 * place for place, part in enumerate(bits))
        if bits[-1] & 16:
            count -= 1 << 5 * len(bits)
        counts.append(count + (counts[-2] if len(counts) > 2 else 0))
    return counts
