"""Losses of a network whose outputs are class vectors (SZN, Doshi 2018); the cosine loss is in pixel_classifiers/compatibility.py."""

from collections.abc import Callable

import torch

from zeroshot.images import label_ids


def squared_error_criterion(classes: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return a criterion of maps: the squared distance between output and class vector, summed over channels and valid pixels.

    The training loop divides it by the number of valid pixels, and nothing divides it by the number of channels, as in the original.

    Args:
        classes: (c, j) float32 vectors of the classes to learn from, of any length.

    Returns:
        a function of outputs (b, j, h, w) and targets (b, h, w), which are rows of `classes` or `label_ids.IGNORE_INDEX`.
    """

    def criterion(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        valid = target != label_ids.IGNORE_INDEX
        return (outputs.movedim(1, -1)[valid] - classes[target[valid]]).square().sum()

    return criterion
