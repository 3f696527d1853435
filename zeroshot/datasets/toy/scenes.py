"""Scenes of painted pebbles on a grey beach: a generated data set whose classes are combinations of hue and pattern.

An unseen class is a new combination of a hue and a pattern, each of which other classes also have. The background contains bare pebbles,
many with the same patterns in grey, so that neither a pattern nor an outline alone identifies an object.

With `toy.context`, patterned pebbles lie on larger plain pebbles (hosts), whose colour reflects on them. The host is then needed to
identify the hue of the object. Each patterned class has one host class, by a rule that follows neither from its hue alone nor from its
pattern alone; the corpus describes it. Pattern and host together determine the class, so these scenes are a best case for context.
"""

import dataclasses
import itertools
import math
from typing import Annotated

import numpy as np
import pydantic

from zeroshot.base import params
from zeroshot.datasets import dealing, linear_light
from zeroshot.datasets.toy import pebbles
from zeroshot.images import label_ids

# Name -> lightness, chroma and hue angle in degrees (OKLCh). The jitter in `_pebble` does not make two hues equal.
HUES = {
    "red": (0.59, 0.22, 26.0),
    "orange": (0.73, 0.175, 58.0),
    "yellow": (0.88, 0.175, 99.0),
    "green": (0.67, 0.19, 144.0),
    "cyan": (0.79, 0.125, 202.0),
    "blue": (0.53, 0.21, 263.0),
    "violet": (0.60, 0.24, 318.0),
}
PATTERNS = tuple(pebbles.PATTERNS)
# Lightness of the figure: white or black for every hue, so that a pattern looks the same on a hue with which it does not occur in
# training. Patterns with the same ink cover different shares of the pebble.
_INKS = {"plain": 0.5, "striped": 0.96, "dotted": 0.97, "checked": 0.22, "ringed": 0.22}
SPLITS = ("train", "val")
# Pattern -> number of steps on the colour wheel from the hue of a class to that of its host. The same hue and its neighbours do not occur,
# because the object would hardly be visible on them. Plain classes have no host. Two classes with the same hue or the same pattern never
# have the same host; each host has four classes, of four hues and four patterns.
_HOST_STEPS = {"striped": 3, "dotted": -3, "checked": -2, "ringed": 2}
# Radii of host and guest relative to a pebble without host, and the share of the host's colour in the guest's colour. With one half,
# the hue of a guest is ambiguous without its host.
_HOST_RADIUS, _GUEST_RADIUS = 1.35, 0.9
_REFLECTION = 0.5

# Indices of independent random streams, so that none depends on how many numbers another uses.
_COUNTS, _CLASSES, _SCENE, _HOSTS = range(4)


@params.section
class Params:
    """The `toy` section of params.yaml, which documents every key."""

    seed: params.Seed
    n_train: params.Count
    n_val: params.Count
    image_size: Annotated[int, pydantic.Field(ge=16, le=1024)]
    context: params.Fraction
    max_objects: Annotated[int, pydantic.Field(ge=1, le=6)]
    sentences: params.Count


def class_names() -> tuple[str, ...]:
    """Return the names in label order: `background`, then `red-plain`, `red-striped`, ... hue by hue."""
    return ("background", *(f"{hue}-{pattern}" for hue, pattern in itertools.product(HUES, PATTERNS)))


def attributes(label: int) -> tuple[str, str]:
    """Return hue and pattern of an object class; object labels start at 1."""
    hue, pattern = divmod(label - 1, len(PATTERNS))
    return tuple(HUES)[hue], PATTERNS[pattern]


def host_name(label: int) -> str | None:
    """Return the name of the host class of an object class; None for a plain class, which has no host."""
    hue, pattern = attributes(label)
    if pattern not in _HOST_STEPS:
        return None
    wheel = tuple(HUES)
    return f"{wheel[(wheel.index(hue) + _HOST_STEPS[pattern]) % len(wheel)]}-plain"


def draw(settings: Params, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image and its mask; they depend on the settings, split and index, not on the number of images.

    Args:
        settings: only seed, image_size, max_objects and context are used.
        split: one of `SPLITS`.
        index: index of the image in its split, from 0.

    Returns:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) uint16, label ids (positions in `class_names()`), and `IGNORE_INDEX` along the outlines of objects.
    """
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), _SCENE, index])
    canvas = pebbles.sand(rng, settings.image_size)
    mask = np.full(canvas.shape[:2], label_ids.BACKGROUND, label_ids.DTYPE)
    labels = draw_labels(settings, split, index)
    for pebble in _bare(rng) + _painted(rng, labels, draw_hosts(settings, split, index)):
        pebbles.paint(canvas, mask, pebble)
    return linear_light.develop(canvas, rng.normal(0, 0.012, (*mask.shape, 1))), mask


def draw_labels(settings: Params, split: str, index: int) -> tuple[int, ...]:
    """Return the labels of the objects in one image, from back to front: at least one, at most max_objects.

    They are those of `dealing.deal`.
    """
    key = [settings.seed, SPLITS.index(split)]
    counts, n_classes = range(1, settings.max_objects + 1), len(HUES) * len(PATTERNS)
    return tuple(1 + card for card in dealing.deal([*key, _COUNTS], [*key, _CLASSES], counts, n_classes, index))


def draw_hosts(settings: Params, split: str, index: int) -> tuple[int | None, ...]:
    """Return the label of the host of each object of `draw_labels`, or None for an object without host.

    An object of a class with a host class (`host_name`) has a host with probability `settings.context`.
    """
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), _HOSTS, index])
    hosts = []
    for label in draw_labels(settings, split, index):
        # One random number per object, so that the hosts do not depend on the classes of earlier objects.
        lies_on_one = rng.random() < settings.context
        name = host_name(label)
        hosts.append(class_names().index(name) if lies_on_one and name is not None else None)
    return tuple(hosts)


def _bare(rng: np.random.Generator) -> list[pebbles.Pebble]:
    """Return grey pebbles at random places, the largest first; those with a radius above 6 may have a pattern."""
    radii = np.sort(rng.uniform(3, 11, rng.integers(11, 24)))[::-1]
    n = len(radii)
    centres = rng.uniform(0, pebbles.SIDE, (n, 2))
    patterns = np.where(radii > 6, rng.integers(len(PATTERNS), size=n), PATTERNS.index("plain"))
    lightness = rng.uniform(0.35, 0.72, n)
    contrast = rng.choice([-1, 1], n) * rng.uniform(0.08, 0.2, n)
    tint = rng.uniform(0, 0.02, (n, 1)), rng.uniform(0, 360, (n, 1))
    tones = linear_light.oklch(np.stack([lightness, lightness + contrast], 1), *tint)  # (n, 2, 3)
    return [
        pebbles.shape(rng, centre, radius, label_ids.BACKGROUND, tone, PATTERNS[pattern])
        for centre, radius, tone, pattern in zip(centres, radii, tones, patterns, strict=True)
    ]


def _painted(rng: np.random.Generator, labels: tuple[int, ...], hosts: tuple[int | None, ...]) -> list[pebbles.Pebble]:
    """Place one painted pebble per label, smaller if there are more, each at the place with most room among twelve.

    If a label has a host, the host takes the place and the pebble lies on the host.
    """
    placed: list[pebbles.Pebble] = []
    guests: list[pebbles.Pebble] = []
    largest = 23 - 3.2 * min(len(labels), 4)
    for label, host in zip(labels, hosts, strict=True):
        radius = rng.uniform(0.75, 1) * largest
        places = rng.uniform(0.75 * radius, pebbles.SIDE - 0.75 * radius, (12, 2))
        room = [min((math.dist(place, other.centre) - other.radius for other in placed), default=0) for place in places]
        place = places[int(np.argmax(room))]
        if host is None:
            placed.append(_pebble(rng, place, radius, label))
        else:
            placed.append(_pebble(rng, place, _HOST_RADIUS * radius, host))
            guest = _pebble(rng, place + rng.uniform(-0.15, 0.15, 2) * radius, _GUEST_RADIUS * radius, label)
            ground = guest.tones[0] + _REFLECTION * (placed[-1].tones[0] - guest.tones[0])
            guests.append(dataclasses.replace(guest, tones=np.stack([ground, guest.tones[1]])))
    return placed + guests


def _pebble(rng: np.random.Generator, centre: np.ndarray, radius: float, label: int) -> pebbles.Pebble:
    """Make a pebble with the paint of its class."""
    hue, pattern = attributes(label)
    lightness, chroma, angle = HUES[hue]
    # With this jitter, neighbouring hues almost touch. A network then cannot learn a pattern separately for each hue.
    lightness, angle = lightness + rng.uniform(-0.05, 0.05), angle + rng.uniform(-12, 12)
    tones = linear_light.oklch(np.array([lightness, _INKS[pattern]]), np.array([chroma, 0.01]), angle)
    return pebbles.shape(rng, centre, radius, label, tones, pattern)
