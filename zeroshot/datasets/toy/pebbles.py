"""Painting sand and pebbles: outlines, patterns, light and shadow.

Lengths are in units of 1/64 of the image's side, colours are linear RGB. All values are computed in float64, so that an image rounded to
8 bits is the same on other processors.
"""

import dataclasses
import math

import numpy as np

from zeroshot.datasets import linear_light
from zeroshot.images import label_ids

SIDE = 64.0
# Name -> period of the pattern; at an image size of 64 pixels, each tone has at least three pixels.
PATTERNS = {"plain": 1.0, "striped": 6.5, "dotted": 7.0, "checked": 9.0, "ringed": 6.0}

_LIGHT = (-0.45, -0.62, 0.64)  # Direction to the light (x, y, z): upper left.
_BORDER = 1.0  # Half the width of the ignored band along an outline.
_SHADOW = 5.0  # Largest distance of a shadow from the outline.
# Standard deviations of the Fourier terms 2, 3, 4, 5 of an outline. The first term would only move the outline.
_WAVES = (0.083, 0.056, 0.038, 0.023)


@dataclasses.dataclass(frozen=True)
class Pebble:
    """One pebble: outline, paint and label.

    Attributes:
        centre: x and y.
        radius: mean radius.
        waves: relative amplitude and phase of the outline's Fourier terms from the second on.
        label: the class that the mask gets, `label_ids.BACKGROUND` for a bare pebble.
        tones: (2, 3) float64, colours of the ground and of the figure painted on it.
        pattern: a key of `PATTERNS`.
        period: length after which the pattern repeats.
        angle: direction of the pattern, in radians.
        phase: shifts of the pattern along its two directions, in radians.
    """

    centre: tuple[float, float]
    radius: float
    waves: tuple[complex, ...]
    label: int
    tones: np.ndarray
    pattern: str
    period: float
    angle: float
    phase: tuple[float, float]


def shape(
    rng: np.random.Generator, centre: np.ndarray, radius: float, label: int, tones: np.ndarray, pattern: str
) -> Pebble:
    """Make a pebble with random outline and random scale, direction and shift of its pattern; arguments as in `Pebble`."""
    waves = rng.normal(0, _WAVES) * np.exp(2j * np.pi * rng.random(len(_WAVES)))
    return Pebble(
        centre=(float(centre[0]), float(centre[1])),
        radius=float(radius),
        waves=tuple(waves.tolist()),
        label=label,
        tones=tones,
        pattern=pattern,
        period=PATTERNS[pattern] * float(rng.uniform(0.87, 1.15)),
        angle=float(rng.uniform(0, 2 * np.pi)),
        phase=tuple(rng.uniform(0, 2 * np.pi, 2).tolist()),
    )


def sand(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return sand, (size, size, 3) float64: a grey with a faint tint and random variation of lightness at four scales."""
    along = (np.arange(size) + 0.5) / size
    light = np.full((size, size), rng.uniform(0.36, 0.58))
    for cells, depth in ((1, 0.05), (2, 0.035), (4, 0.025), (9, 0.02)):
        knots = rng.normal(0, depth, (cells + 1, cells + 1))
        weights = np.maximum(0, 1 - np.abs(along[:, None] * cells - np.arange(cells + 1)))
        weights = weights * weights * (3 - 2 * weights)  # (size, knots)
        light += weights @ knots @ weights.T
    return linear_light.oklch(light, rng.uniform(0, 0.018), rng.uniform(0, 360))


def paint(canvas: np.ndarray, mask: np.ndarray, pebble: Pebble) -> None:
    """Paint a pebble and its shadow into an image, and its label into the mask unless the pebble is bare.

    Args:
        canvas: (H, H, 3) float64, changed in place.
        mask: (H, H) uint16, changed in place: `label_ids.IGNORE_INDEX` along the outline, the label inside.
        pebble: what to paint.
    """
    scale = canvas.shape[0] / SIDE
    reach = pebble.radius * (1 + sum(map(abs, pebble.waves))) + _SHADOW
    columns, rows = (
        slice(max(0, int((c - reach) * scale)), max(0, int((c + reach) * scale) + 1)) for c in pebble.centre
    )
    y, x = np.ogrid[: canvas.shape[0], : canvas.shape[1]]
    x = (x[:, columns] + 0.5) / scale - pebble.centre[0]
    y = (y[rows] + 0.5) / scale - pebble.centre[1]
    rho = np.hypot(x, y) + 1e-9
    turn = (x + 1j * y) / rho
    edge, slope, power = np.ones_like(rho), np.zeros_like(rho), turn
    for k, wave in enumerate(pebble.waves, start=2):
        power = power * turn
        term = wave * power
        edge += term.real
        slope -= k * term.imag
    edge = pebble.radius * np.maximum(edge, 0.4)
    # First-order distance to the curve rho = edge(angle); negative inside.
    distance = (rho - edge) / np.hypot(1, pebble.radius * slope / edge)
    depth = np.minimum(rho / edge, 1)  # 0 in the middle, 1 at the outline

    ink = _figure(pebble, x, y, depth * pebble.radius)[..., None]
    colour = pebble.tones[0] + ink * (pebble.tones[1] - pebble.tones[0])
    light, gleam = _light(turn, depth)
    colour = colour * light[..., None] + gleam[..., None]
    away = -(turn.real * _LIGHT[0] + turn.imag * _LIGHT[1])
    shade = 0.55 * np.clip(0.35 + away, 0, 1) * np.exp(-np.maximum(distance, 0) / 2.2)
    cover = np.clip(0.5 - distance * scale, 0, 1)[..., None]
    canvas[rows, columns] = canvas[rows, columns] * (1 - shade[..., None]) * (1 - cover) + colour * cover
    if pebble.label != label_ids.BACKGROUND:
        part = mask[rows, columns]
        part[distance <= _BORDER] = label_ids.IGNORE_INDEX
        part[distance < -_BORDER] = pebble.label


def _light(turn: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the brightness of a flat pebble and the highlight that is added to it, both (H, W)."""
    bulge = depth**2
    facing = bulge * (np.real(turn) * _LIGHT[0] + np.imag(turn) * _LIGHT[1]) + np.sqrt(1 - bulge**2) * _LIGHT[2]
    spot = (depth * np.real(turn) + 0.38) ** 2 + (depth * np.imag(turn) + 0.45) ** 2
    return 0.62 + 0.62 * np.maximum(facing, 0), 0.16 * np.exp(-spot / 0.03)


def _figure(pebble: Pebble, x: np.ndarray, y: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Return the share of the figure's tone at each pixel, (H, W) in 0 to 1; rings follow the lines of equal `ring`."""
    if pebble.pattern == "plain":
        return np.zeros_like(ring)
    k = 2 * math.pi / pebble.period
    cosine, sine = math.cos(pebble.angle), math.sin(pebble.angle)
    if pebble.pattern == "ringed":
        wave = np.sin(k * ring + pebble.phase[0]) - 0.35
    else:
        u = k * (cosine * x + sine * y) + pebble.phase[0]
        v = k * (cosine * y - sine * x) + pebble.phase[1]
        if pebble.pattern == "striped":
            wave = np.sin(u)
        elif pebble.pattern == "dotted":
            wave = np.cos(u) + np.cos(v) - 0.9
        else:
            wave = 1.5 * np.sin(u) * np.sin(v)
    return np.clip(0.5 + 1.3 * wave, 0, 1)
