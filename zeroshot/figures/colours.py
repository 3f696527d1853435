"""Colours of classes that readers with deuteranopia and protanopia can tell apart too."""

import functools

import colorspacious
import numpy as np

from zeroshot.images import label_ids

# Okabe and Ito (2008), Color Universal Design; the first, black, is that of the background.
OKABE_ITO = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
# More colours than these cannot be told apart, so they repeat.
MAX_COLOURS = 256
# Colours of other lightness or less chroma, in CAM02-UCS, look like the grey photograph below them.
_LIGHTNESS, _CHROMA = (25, 95), 8
# Further colours keep their distance from these greys too, which some readers may see in a pale green or pink.
_GREYS = ((140, 140, 140), (190, 190, 190))
# Colours are chosen from a grid of sRGB with this step.
_STEP = 17
# How readers see: without a deficiency, and with each kind of red-green blindness (Machado et al. 2009, full severity).
VISIONS = (None, "deuteranomaly", "protanomaly")


def seen_by(colours: np.ndarray, vision: str | None) -> np.ndarray:
    """Return sRGB colours as a reader with one of `VISIONS` sees them.

    Args:
        colours: (..., 3) uint8.
        vision: one of `VISIONS`; None changes nothing.

    Returns:
        (..., 3) float64 from 0 to 1.
    """
    values = colours / 255
    if vision is None:
        return values
    space = {"name": "sRGB1+CVD", "cvd_type": vision, "severity": 100}
    return np.clip(colorspacious.cspace_convert(values, space, "sRGB1"), 0, 1)


def _coordinates(colours: np.ndarray) -> np.ndarray:
    """Return the CAM02-UCS coordinates (3, n, 3) of colours (n, 3) uint8 in each of `VISIONS`."""
    return np.stack(
        [colorspacious.cspace_convert(seen_by(colours, vision), "sRGB1", "CAM02-UCS") for vision in VISIONS]
    )


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how different colours are to the reader to whom they differ least.

    Args:
        one: (n, 3) uint8.
        other: (m, 3) uint8.

    Returns:
        (n, m) float64: the smallest of their distances in CAM02-UCS (Luo et al. 2006) over `VISIONS`. 1 is about what can just be seen.
    """
    return np.linalg.norm(_coordinates(one)[:, :, None] - _coordinates(other)[:, None], axis=-1).min(axis=0)


@functools.cache
def colours(n: int) -> np.ndarray:
    """Return a colour for each of n label ids; that of a label id is the same whatever n is.

    The first eight are those of Okabe and Ito. Each further one is the colour of a grid that is farthest, as `distances` measures, from
    all before it: Glasbey's rule (Glasbey et al. 2007), for three kinds of readers at once. The package `glasbey` knows the rule for one
    deficiency, of which its 21 colours leave pairs that look the same in the other.

    Returns:
        (n, 3) uint8, read-only. They repeat after `MAX_COLOURS`.
    """
    palette = np.resize(_palette(), (n, 3))
    palette.setflags(write=False)
    return palette


@functools.cache
def label_palette() -> np.ndarray:
    """Return the colours of all label ids, (label_ids.N_IDS, 3) uint8, read-only; ignored pixels have that of `label_ids.palette`."""
    palette = label_ids.palette().copy()
    palette[: label_ids.IGNORE_INDEX] = colours(label_ids.IGNORE_INDEX)
    palette.setflags(write=False)
    return palette


@functools.cache
def _palette() -> np.ndarray:
    """Return the first `MAX_COLOURS` colours, (MAX_COLOURS, 3) uint8."""
    steps = np.arange(0, 256, _STEP, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, a, b = colorspacious.cspace_convert(grid / 255, "sRGB1", "CAM02-UCS").T
    grid = grid[(lightness >= _LIGHTNESS[0]) & (lightness <= _LIGHTNESS[1]) & (np.hypot(a, b) >= _CHROMA)]
    palette = list(np.array(OKABE_ITO, np.uint8))
    coordinates = _coordinates(grid)
    nearest = distances(grid, np.array([*OKABE_ITO, *_GREYS], np.uint8)).min(axis=1)
    while len(palette) < MAX_COLOURS:
        farthest = int(nearest.argmax())
        palette.append(grid[farthest])
        to_it = np.linalg.norm(coordinates - coordinates[:, farthest : farthest + 1], axis=-1).min(axis=0)
        nearest = np.minimum(nearest, to_it)
    return np.stack(palette)
