"""Places for short texts beside the boxes that they name, none over another."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

# Least distance of two texts, and distance of a text and its box, in the unit of the boxes.
GAP = 1.0
# Steps in the search over the whole panel, as a share of the text's height.
_STEP = 0.5


def place(
    boxes: Sequence[Sequence[float]], sizes: Sequence[tuple[float, float]], panel: tuple[float, float]
) -> list[tuple[float, float] | None]:
    """Return the left upper corner of each text, all inside of the panel and none over another.

    A text goes above its box, inside of it at an edge, or below it; where other texts are in the way, to the place nearest to the box. Of
    two good places the one is taken that covers less of other boxes.

    Args:
        boxes: [left, top, width, height] of each box, y downwards, the most important first.
        sizes: (width, height) of each text.
        panel: (width, height).

    Returns:
        the corners (x, y); None for a text that has no place left or is larger than the panel.
    """
    placed: list[tuple[float, float, float, float]] = []
    corners: list[tuple[float, float] | None] = []
    for number, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        others = [other for position, other in enumerate(boxes) if position != number]
        corner = _best(box, size, panel, placed, others)
        corners.append(corner)
        if corner is not None:
            placed.append((*corner, *size))
    return corners


def shortest_line(one: Sequence[float], other: Sequence[float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ends of a shortest line from one box [left, top, width, height] to another; of boxes that overlap both ends are equal."""
    across = [
        _nearest((a, a + length), (b, b + other_length))
        for a, length, b, other_length in zip(one[:2], one[2:], other[:2], other[2:], strict=True)
    ]
    (x, other_x), (y, other_y) = across
    return (x, y), (other_x, other_y)


def _nearest(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the nearest numbers of two intervals; the middle of what they share, if they overlap."""
    if one[1] < other[0]:
        return one[1], other[0]
    if other[1] < one[0]:
        return one[0], other[1]
    middle = (max(one[0], other[0]) + min(one[1], other[1])) / 2
    return middle, middle


def _best(
    box: Sequence[float],
    size: tuple[float, float],
    panel: tuple[float, float],
    placed: Sequence[Sequence[float]],
    others: Sequence[Sequence[float]],
) -> tuple[float, float] | None:
    limits = (panel[0] - size[0], panel[1] - size[1])
    if min(limits) < 0:
        return None
    beside = [(min(max(x, 0), limits[0]), min(max(y, 0), limits[1])) for x, y in _beside(box, size)]
    free = [corner for corner in beside if _is_free(corner, size, placed)]
    if free:
        # The first places are the better ones.
        costs = [_covered(corner, size, others) + 0.1 * size[0] * size[1] * rank for rank, corner in enumerate(free)]
        return free[int(np.argmin(costs))]
    columns, rows = (np.append(np.arange(0, limit, _STEP * size[1]), limit).tolist() for limit in limits)
    grid = [(x, y) for y in rows for x in columns]
    centre = (box[0] + box[2] / 2, box[1] + box[3] / 2)
    free = [corner for corner in grid if _is_free(corner, size, placed)]
    if not free:
        return None
    return min(free, key=lambda one: math.hypot(one[0] + size[0] / 2 - centre[0], one[1] + size[1] / 2 - centre[1]))


def _beside(box: Sequence[float], size: tuple[float, float]) -> Iterator[tuple[float, float]]:
    """Yield corners of a text at its box, the usual ones first."""
    left, top, width, height = box
    columns = (left, left + width - size[0], left + (width - size[0]) / 2)
    for y in (top - size[1] - GAP, top + height + GAP, top + GAP, top + height - size[1] - GAP):
        for x in columns:
            yield x, y


def _is_free(corner: tuple[float, float], size: tuple[float, float], placed: Sequence[Sequence[float]]) -> bool:
    return all(
        corner[0] >= x + width + GAP
        or corner[0] + size[0] + GAP <= x
        or corner[1] >= y + height + GAP
        or corner[1] + size[1] + GAP <= y
        for x, y, width, height in placed
    )


def _covered(corner: tuple[float, float], size: tuple[float, float], boxes: Sequence[Sequence[float]]) -> float:
    """Return the area of a text that lies over boxes."""
    total = 0.0
    for left, top, width, height in boxes:
        across = min(corner[0] + size[0], left + width) - max(corner[0], left)
        down = min(corner[1] + size[1], top + height) - max(corner[1], top)
        total += max(across, 0) * max(down, 0)
    return total
