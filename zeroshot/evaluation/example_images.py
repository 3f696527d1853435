"""Choosing the evaluation images to show. The rule uses the ground truth only, so it cannot favour a method."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import numpy as np
import pydantic

from zeroshot.base import params
from zeroshot.images import label_ids


@params.section
class Params:
    """The section `visualise`; see params.yaml."""

    images_per_class: params.Count
    min_share: params.Fraction
    seen_images: Annotated[int, pydantic.Field(ge=0)]
    panel_side: Annotated[int, pydantic.Field(ge=32, le=2048)]
    seed: params.Seed


def shares(masks: Iterable[tuple[str, np.ndarray]], unseen: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the share of the pixels of each image that each unseen class covers, (n_unseen,) float64 by name.

    Args:
        masks: name and mask (H, W) uint16 of every evaluation image.
        unseen: label ids of the unseen classes.
    """
    return {
        image: np.bincount(mask.ravel(), minlength=label_ids.N_IDS)[list(unseen)] / mask.size for image, mask in masks
    }


def choose(masks: Iterable[tuple[str, np.ndarray]], unseen: Sequence[int], options: Params) -> list[str]:
    """Choose images by their masks, as `by_shares` does."""
    return by_shares(shares(masks, unseen), options)


def by_shares(shares: Mapping[str, np.ndarray], options: Params) -> list[str]:
    """Choose images by what their masks show.

    The images are ordered by a hash of the seed and their name, so that adding or removing an image does not reorder the others. For
    each unseen class, the first `images_per_class` images are chosen in which the class covers at least `min_share` of the pixels. If
    there is none, the image is chosen in which the class covers the most pixels. Last, the first `seen_images` images without unseen
    pixels are chosen.

    Args:
        shares: name -> shares of the unseen classes, from `shares`.
        options: the section `visualise`.

    Returns:
        the names of the chosen images, in the order of choice and without repetition.
    """
    shuffled = sorted(shares, key=lambda image: hashlib.sha256(f"{options.seed} {image}".encode()).digest())
    chosen = []
    for column in range(len(next(iter(shares.values()), ()))):
        containing = [image for image in shuffled if shares[image][column] > 0]
        large = [image for image in containing if shares[image][column] >= options.min_share]
        largest = sorted(containing, key=lambda image: -shares[image][column])
        chosen += large[: options.images_per_class] or largest[:1]
    chosen += [image for image in shuffled if not shares[image].any()][: options.seen_images]
    return list(dict.fromkeys(chosen))
