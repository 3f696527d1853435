"""Colours of generated images: linear RGB in float64 while they are painted, 8 bits of sRGB in the file."""

import numpy as np


def oklch(lightness: np.ndarray, chroma: float | np.ndarray, degrees: float | np.ndarray) -> np.ndarray:
    """Convert lightness, chroma and hue angle to linear RGB, clipped to 0 to 1: (..., 3) float64.

    Source: Björn Ottosson, "A perceptual color space for image processing" (OKLab), 2020.
    """
    a, b = chroma * np.cos(np.deg2rad(degrees)), chroma * np.sin(np.deg2rad(degrees))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    return np.clip(np.stack([red, green, blue], -1), 0, 1)


def develop(canvas: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """Turn linear light (H, W, 3) into an 8-bit sRGB image; `grain` (H, W, 1) is added to the encoded values."""
    linear = np.clip(canvas, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip((encoded + grain) * 255 + 0.5, 0, 255).astype(np.uint8)
