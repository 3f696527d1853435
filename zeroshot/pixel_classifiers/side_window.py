"""The side of a pixel, seen or unseen, from logits that are averaged over neighbouring cells.

A single cell often has a large logit of a wrong side, and its neighbours have not. So the side is decided on means over a window of
cells, and the class within the side on the logits themselves, which keeps the contours between classes of one side sharp.
"""

from typing import Annotated

import pydantic
import torch
from torch.nn import functional


def _odd(window: int) -> int:
    if window % 2 == 0:
        raise ValueError(f"needs an odd number of cells, found {window}")
    return window


# Side of a window around a cell, in cells.
Window = Annotated[int, pydantic.Field(ge=1), pydantic.AfterValidator(_odd)]


def average(cells: torch.Tensor, window: int) -> torch.Tensor:
    """Return the means (b, c, h, w) of values (b, c, h, w) over the window of `window` x `window` cells, an odd number, around each cell.

    At the border of the map a window has fewer cells, since there are none beyond it. With 1 the values are returned as they are.
    """
    if window == 1:
        return cells
    reach = window // 2
    # Windows are rectangles at the border too, so a mean of means over their rows is the mean. It takes 2 w additions, not w squared.
    means = functional.avg_pool2d(cells, (window, 1), 1, (reach, 0), count_include_pad=False)
    return functional.avg_pool2d(means, (1, window), 1, (0, reach), count_include_pad=False)


def margin(seen: torch.Tensor, unseen: torch.Tensor) -> torch.Tensor:
    """Return how much the best seen class is ahead of the best unseen one at each cell, (b, 1, h, w).

    Args:
        seen: (b, s, h, w) logits of the seen classes, averaged by `average`.
        unseen: (b, u, h, w) those of the unseen classes.
    """
    return seen.amax(1, keepdim=True) - unseen.amax(1, keepdim=True)
