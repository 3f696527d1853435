"""Painting shapes cut from coloured paper: outlines, patterns, bevelled edges and soft shadows.

Lengths are in pixels, colours are linear RGB. Outlines are signed distances, so edges are smooth without oversampling. All values are
computed in float64, so that an image rounded to 8 bits is the same on other processors.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from zeroshot.datasets import linear_light

_LIGHT = (-0.6, -0.8)  # Direction to the light in the image plane (x, y): upper left.
_BEVEL = 1.6  # Width of the bright and dark rim.
_SHADOW = (1.5, 2.2)  # Offset of the shadow.
_SOFTNESS = 3.5  # Width of the shadow's soft border.


def _disk(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.92


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _box(x, y, 0.68, 0.68) - 0.12


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Distance to the sides; beyond a corner it is too small.
    sides = [x * math.sin(turn) - y * math.cos(turn) for turn in np.arange(3) * 2 * math.pi / 3]
    return np.maximum.reduce(sides) - 0.58


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Five rays, folded to half a ray between the tip at radius 1.14 and the notch at radius 0.5."""
    angle = np.abs((np.arctan2(x, -y) + math.pi / 5) % (2 * math.pi / 5) - math.pi / 5)
    radius = np.hypot(x, y)
    notch = np.array([0.5 * math.sin(math.pi / 5), 0.5 * math.cos(math.pi / 5)])
    along = notch - (0, 1.14)
    normal = np.array([along[1], -along[0]]) / np.hypot(*along)
    return -(radius * np.sin(angle) * normal[0] + (radius * np.cos(angle) - 1.14) * normal[1]) - 0.02


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.75) - 0.27


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_box(x, y, 0.96, 0.27), _box(x, y, 0.27, 0.96)) - 0.06


def _box(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return the distance to a box with these half sides."""
    beside, above = np.abs(x) - width, np.abs(y) - height
    return np.hypot(np.maximum(beside, 0), np.maximum(above, 0)) + np.minimum(np.maximum(beside, above), 0)


# Name -> signed distance to the outline, negative inside, of a shape of about radius 1 around the origin.
SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "disk": _disk,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
}
# Name -> (lightness, chroma, hue) in OKLCh of the paper and, for a pattern, of the print on it.
LOOKS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "red": ((0.62, 0.19, 25.0),),
    "yellow": ((0.86, 0.155, 90.0),),
    "green": ((0.68, 0.14, 150.0),),
    "blue": ((0.57, 0.15, 255.0),),
    "striped": ((0.94, 0.02, 85.0), (0.36, 0.04, 285.0)),
    "dotted": ((0.40, 0.06, 325.0), (0.92, 0.04, 350.0)),
}
# Length after which a pattern repeats.
_PERIODS = {"striped": 6.5, "dotted": 6.5}


@dataclasses.dataclass(frozen=True)
class Cutout:
    """One shape of paper.

    Attributes:
        shape, look: keys of `SHAPES` and `LOOKS`.
        centre: x and y.
        radius: half of about the largest extent.
        angle: turn of the shape in radians.
        tones: (1 or 2, 3) float64, colours of the paper and of the print.
        pattern_angle: direction of the pattern in radians.
        phase: shifts of the pattern along its two directions in radians.
    """

    shape: str
    look: str
    centre: tuple[float, float]
    radius: float
    angle: float
    tones: np.ndarray
    pattern_angle: float
    phase: tuple[float, float]


def cut(
    rng: np.random.Generator, shape: str, look: str, centre: tuple[float, float], radius: float, angle: float
) -> Cutout:
    """Make a cut-out whose tint, and direction and place of the pattern, vary; arguments as in `Cutout`."""
    lightness, chroma, hue = np.transpose(LOOKS[look])
    tones = linear_light.oklch(lightness + rng.uniform(-0.03, 0.03), chroma, hue + rng.uniform(-8, 8))
    phase = rng.uniform(0, 2 * math.pi, 2)
    return Cutout(
        shape, look, centre, radius, angle, tones, float(rng.uniform(0, math.pi)), (float(phase[0]), float(phase[1]))
    )


def paint(canvas: np.ndarray, cutout: Cutout) -> np.ndarray:
    """Paint a cut-out and its shadow into an image.

    Args:
        canvas: (H, H, 3) float64, changed in place.
        cutout: what to paint.

    Returns:
        (H, H) bool, the pixels whose centre it covers.
    """
    size = canvas.shape[0]
    reach = 1.2 * cutout.radius + _SOFTNESS + max(_SHADOW)
    columns, rows = (slice(max(0, int(c - reach)), max(0, int(c + reach) + 1)) for c in cutout.centre)
    y, x = np.ogrid[:size, :size]
    x, y = x[:, columns] + 0.5 - cutout.centre[0], y[rows] + 0.5 - cutout.centre[1]
    away = _distance(cutout, x, y)
    part = canvas[rows, columns]
    shade = np.clip((_SOFTNESS - _distance(cutout, x - _SHADOW[0], y - _SHADOW[1])) / (2 * _SOFTNESS), 0, 1)
    part *= 1 - 0.55 * (shade * shade * (3 - 2 * shade))[..., None]

    slope_y, slope_x = np.gradient(away)
    rim = np.exp(-((away / _BEVEL) ** 2)) * (slope_x * _LIGHT[0] + slope_y * _LIGHT[1])
    slant = (x * _LIGHT[0] + y * _LIGHT[1]) / cutout.radius
    colour = cutout.tones[0] + _print(cutout, x, y)[..., None] * (cutout.tones[-1] - cutout.tones[0])
    colour = colour * (1 + 0.12 * slant + 0.35 * rim)[..., None] + 0.07 * np.maximum(rim, 0)[..., None]
    cover = np.clip(0.5 - away, 0, 1)[..., None]
    part *= 1 - cover
    part += colour * cover
    mask = np.zeros((size, size), bool)
    mask[rows, columns] = away < 0
    return mask


def _distance(cutout: Cutout, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the signed distance to the outline, negative inside, of points relative to the centre."""
    cosine, sine = math.cos(cutout.angle), math.sin(cutout.angle)
    turned = (cosine * x + sine * y) / cutout.radius, (cosine * y - sine * x) / cutout.radius
    return SHAPES[cutout.shape](*turned) * cutout.radius


def _print(cutout: Cutout, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the share of the print's colour, 0 to 1, at points relative to the centre."""
    if cutout.look not in _PERIODS:
        return np.zeros((1, 1))
    k = 2 * math.pi / _PERIODS[cutout.look]
    cosine, sine = math.cos(cutout.pattern_angle), math.sin(cutout.pattern_angle)
    u = k * (cosine * x + sine * y) + cutout.phase[0]
    v = k * (cosine * y - sine * x) + cutout.phase[1]
    wave = np.sin(u) if cutout.look == "striped" else np.cos(u) + np.cos(v) - 0.55
    return np.clip(0.5 + 1.4 * wave, 0, 1)
