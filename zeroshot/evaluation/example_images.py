"""Which evaluation images are shown as pictures: a rule that looks at the truth alone, so that no method can be flattered."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated

import numpy as np
import pydantic

from zeroshot.base import params


@params.section
class Params:
    """The section `visualise`; see params.yaml."""

    images_per_class: params.Count
    min_share: params.Fraction
    seen_images: Annotated[int, pydantic.Field(ge=0)]
    panel_side: Annotated[int, pydantic.Field(ge=32, le=2048)]
    seed: params.Seed


def choose(masks: Iterable[tuple[str, np.ndarray]], unseen: Sequence[int], options: Params) -> list[str]:
    """Choose images by their masks.

    All images stand in an order that follows from the seed and their names, so that an image more or less in the list moves no
    other. Each unseen class has the first `images_per_class` in which it covers `min_share` of the pixels; a class that nowhere
    covers as much has the one image where it covers most. After them come the first `seen_images` without any unseen pixel.

    Args:
        masks: image and mask (H, W) uint8 of every evaluation image.
        unseen: label ids.
        options: the section `visualise`.

    Returns:
        the images in the order of choice, each once.
    """
    shares = {image: np.bincount(mask.ravel(), minlength=256)[list(unseen)] / mask.size for image, mask in masks}
    shuffled = sorted(shares, key=lambda image: hashlib.sha256(f"{options.seed} {image}".encode()).digest())
    chosen = []
    for column in range(len(unseen)):
        holding = [image for image in shuffled if shares[image][column] > 0]
        large = [image for image in holding if shares[image][column] >= options.min_share]
        largest = sorted(holding, key=lambda image: -shares[image][column])
        chosen += large[: options.images_per_class] or largest[:1]
    chosen += [image for image in shuffled if not shares[image].any()][: options.seen_images]
    return list(dict.fromkeys(chosen))
