"""Random views of an image and its mask for training: scale, crop, flip, blur."""

from typing import Annotated

import numpy as np
import PIL.Image
import PIL.ImageFilter
import pydantic

from zeroshot.base import params
from zeroshot.images import label_ids, views


def _check_order(scales: tuple[float, float]) -> tuple[float, float]:
    if scales[0] > scales[1]:
        raise ValueError("needs the smaller scale first")
    return scales


@params.section
class Params:
    """The section `augmentation` of a network's section; see params.yaml."""

    crop: params.Count
    scales: Annotated[tuple[params.Positive, params.Positive], pydantic.AfterValidator(_check_order)]
    flip: params.Fraction
    blur: params.Fraction


def augment(
    image: np.ndarray, mask: np.ndarray, options: Params, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return one random view of an image and its mask.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W) uint16.
        options: the size of the view, the scales and the probabilities. The image is scaled by a log-uniform random factor from
            `scales`, then cropped or padded to `crop` x `crop` pixels, mirrored with probability `flip`, and blurred with
            probability `blur` by a Gaussian of radius U(0, 1) pixels.
        rng: the only source of randomness.

    Returns:
        image (crop, crop, 3) uint8, padded with the ImageNet mean colour, and mask (crop, crop) uint16, padded
        with `label_ids.IGNORE_INDEX`.
    """
    factor = float(np.exp(rng.uniform(*np.log(options.scales))))
    height, width = (max(1, round(side * factor)) for side in mask.shape)
    crop = options.crop
    top = int(rng.integers(0, max(0, height - crop) + 1))
    left = int(rng.integers(0, max(0, width - crop) + 1))
    bottom, right = min(top + crop, height), min(left + crop, width)
    size = (right - left, bottom - top)
    box = (left / factor, top / factor, min(right / factor, mask.shape[1]), min(bottom / factor, mask.shape[0]))
    view = PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BILINEAR, box=box)
    labels = views.resize_mask(mask, size, box)
    mirror = rng.random() < options.flip
    if rng.random() < options.blur:
        view = view.filter(PIL.ImageFilter.GaussianBlur(rng.random()))
    out_image = np.full((crop, crop, 3), (124, 116, 104), np.uint8)
    out_mask = np.full((crop, crop), label_ids.IGNORE_INDEX, label_ids.DTYPE)
    out_image[: size[1], : size[0]] = np.asarray(view)
    out_mask[: size[1], : size[0]] = labels
    if mirror:
        out_image, out_mask = out_image[:, ::-1], out_mask[:, ::-1]
    return np.ascontiguousarray(out_image), np.ascontiguousarray(out_mask)
