"""Arrangements of paper shapes on a table: a generated data set whose classes are combinations of a shape and a look.

The unseen classes of the default parameters are new combinations of a shape and a look, each of which seen classes have. The official
scoring of ZSI mixes the word vectors of the seen classes that an object resembles. So no seen class is halfway between two unseen ones:
there are striped-disk and red-square, but neither red-disk nor striped-square, whose vectors would be as near to the one as to the other.
"""

import dataclasses
import math
from typing import Annotated

import numpy as np
import pydantic
import scipy.ndimage

from zeroshot.base import params
from zeroshot.datasets import dealing, linear_light
from zeroshot.datasets.shapes import cutouts

# The unseen classes of the default parameters: a shape and a look each.
NEW_PAIRS = (("disk", "striped"), ("square", "red"), ("triangle", "dotted"), ("star", "green"))
SPLITS = ("train", "val")
# Most of a cut-out that others may cover, to judge by disks of its size.
_MOST_COVERED = 0.45
_TRIES = 40
# Indices of independent random streams, so that none depends on how many numbers another uses.
_COUNTS, _CLASSES, _IMAGE = range(3)


@params.section
class Params:
    """The `shapes` section of zsi/params.yaml, which documents every key."""

    seed: params.Seed
    n_train: params.Count
    n_val: params.Count
    image_size: Annotated[int, pydantic.Field(ge=64, le=1024)]
    min_objects: Annotated[int, pydantic.Field(ge=1, le=8)]
    max_objects: Annotated[int, pydantic.Field(ge=1, le=8)]
    min_diameter: Annotated[int, pydantic.Field(ge=12)]
    max_diameter: Annotated[int, pydantic.Field(ge=12)]
    sentences: params.Count

    @pydantic.field_validator("max_objects", "max_diameter")
    @classmethod
    def _at_least_the_smallest(cls, value: int, info: pydantic.ValidationInfo) -> int:
        least = str(info.field_name).replace("max", "min")
        if value < info.data.get(least, value):
            raise ValueError(f"must be at least {least}, which is {info.data[least]}")
        return value

    @pydantic.field_validator("max_diameter")
    @classmethod
    def _at_most_half_the_image(cls, value: int, info: pydantic.ValidationInfo) -> int:
        if 2 * value > info.data.get("image_size", 2 * value):
            raise ValueError(f"must be at most half of image_size, which is {info.data['image_size']}")
        return value


@dataclasses.dataclass(frozen=True)
class Category:
    """One class.

    Attributes:
        id: category id, from 1, with gaps where a combination is no class.
        name: as in `red-disk`.
        shape, look: keys of `cutouts.SHAPES` and `cutouts.LOOKS`.
    """

    id: int
    name: str
    shape: str
    look: str


def categories() -> tuple[Category, ...]:
    """Return all classes by category id: all combinations but those between two pairs of `NEW_PAIRS`."""
    new_shapes, new_looks = zip(*NEW_PAIRS, strict=True)
    pairs = [(shape, look) for shape in cutouts.SHAPES for look in cutouts.LOOKS]
    return tuple(
        Category(id, f"{look}-{shape}", shape, look)
        for id, (shape, look) in enumerate(pairs, 1)
        if (shape, look) in NEW_PAIRS or shape not in new_shapes or look not in new_looks
    )


@dataclasses.dataclass(frozen=True)
class Instance:
    """One object of an image.

    Attributes:
        category: its class.
        mask: (H, W) bool, the pixels where it is visible; at least one.
    """

    category: Category
    mask: np.ndarray


def draw(settings: Params, split: str, index: int) -> tuple[np.ndarray, list[Instance]]:
    """Draw one image; it depends on the settings, split and index, not on the number of images.

    Args:
        settings: section `shapes`, of which n_train, n_val and sentences are not used.
        split: one of `SPLITS`.
        index: index of the image in its split, from 0.

    Returns:
        image: (H, W, 3) uint8, RGB.
        instances: the visible objects, from the lowest to the uppermost.
    """
    key = [settings.seed, SPLITS.index(split)]
    counts, classes = range(settings.min_objects, settings.max_objects + 1), categories()
    dealt = [classes[card] for card in dealing.deal([*key, _COUNTS], [*key, _CLASSES], counts, len(classes), index)]
    rng = np.random.default_rng([*key, _IMAGE, index])
    canvas = _table(rng, settings.image_size)
    radii = rng.uniform(settings.min_diameter, settings.max_diameter, len(dealt)) / 2
    masks: list[np.ndarray] = []
    for category, centre, radius in zip(dealt, _places(rng, radii, settings.image_size), radii, strict=True):
        turn = float(rng.uniform(0, 2 * math.pi))
        covered = cutouts.paint(canvas, cutouts.cut(rng, category.shape, category.look, centre, float(radius), turn))
        masks = [*(mask & ~covered for mask in masks), covered]
    image = linear_light.develop(canvas, rng.normal(0, 0.01, (*canvas.shape[:2], 1)))
    return image, [Instance(category, mask) for category, mask in zip(dealt, masks, strict=True) if mask.any()]


def _table(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a sheet of rough paper in a muted colour, (size, size, 3) float64: broad shades, fine fibres and a vignette."""
    light = np.full((size, size), rng.uniform(0.68, 0.82))
    for scale, depth in ((size / 5, 0.02), (3.0, 0.012), (0.8, 0.012)):
        noise = scipy.ndimage.gaussian_filter(rng.normal(size=(size, size)), scale, mode="wrap")
        light += depth * noise / noise.std()
    fibres = scipy.ndimage.gaussian_filter(rng.normal(size=(size, size)), (0.5, 3.0), mode="wrap")
    light += 0.012 * fibres / fibres.std()
    along = np.linspace(-1, 1, size)
    light -= 0.05 * (along[:, None] ** 2 + along**2) / 2
    return linear_light.oklch(light, rng.uniform(0.015, 0.035), rng.uniform(40, 280))


def _places(rng: np.random.Generator, radii: np.ndarray, size: int) -> list[tuple[float, float]]:
    """Return the centre of each cut-out. Most touch another one, and of none more than `_MOST_COVERED` should be covered."""
    placed: list[tuple[float, float]] = []
    for number, radius in enumerate(radii):
        best, least = (0.0, 0.0), math.inf
        for _ in range(_TRIES):
            x, y = rng.uniform(0.9 * radius, size - 0.9 * radius, 2)
            if placed and rng.random() < 0.7:
                neighbour = int(rng.integers(number))
                turn = rng.uniform(0, 2 * math.pi)
                reach = (radii[neighbour] + radius) * rng.uniform(0.5, 1.0)
                x = placed[neighbour][0] + reach * math.cos(turn)
                y = placed[neighbour][1] + reach * math.sin(turn)
            outside = max(0.9 * radius - min(x, y), max(x, y) - size + 0.9 * radius, 0)
            centres = [*placed, (float(x), float(y))]
            worst = max(_covered(centres, radii, lower) for lower in range(number + 1)) + outside
            if worst < least:
                best, least = centres[-1], worst
            if worst <= _MOST_COVERED:
                break
        placed.append(best)
    return placed


def _covered(centres: list[tuple[float, float]], radii: np.ndarray, lower: int) -> float:
    """Return the share of disk `lower` that the later disks cover, each for itself."""
    total = 0.0
    for upper in range(lower + 1, len(centres)):
        total += _lens(math.dist(centres[lower], centres[upper]), float(radii[lower]), float(radii[upper]))
    return total / (math.pi * float(radii[lower]) ** 2)


def _lens(distance: float, first: float, second: float) -> float:
    """Return the area that two disks with these radii have in common."""
    if distance >= first + second:
        return 0.0
    if distance <= abs(first - second):
        return math.pi * min(first, second) ** 2
    chord = (distance**2 + first**2 - second**2) / (2 * distance)
    other = distance - chord
    return (
        first**2 * math.acos(max(-1, min(1, chord / first)))
        - chord * math.sqrt(max(first**2 - chord**2, 0))
        + second**2 * math.acos(max(-1, min(1, other / second)))
        - other * math.sqrt(max(second**2 - other**2, 0))
    )
