"""The last 1x1 convolution as a linear classifier of pixel features: the only layer that zero-shot learning changes."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pydantic
import torch
import typing_extensions
from torch.nn import functional

from zeroshot.base import checkpoints
from zeroshot.images import grids


@dataclasses.dataclass(frozen=True)
class PixelClassifier:
    """A linear classifier of pixel features, f in the paper (section 2.2, step 2), with a bias against seen classes.

    Attributes:
        weight: (n, d) float32.
        bias: (n,) float32.
        labels: (n,) int64, the label id of each row.
        unseen: (n,) bool, whether the row's class is unseen.
        seen_bias: subtracted from every seen logit (calibrated stacking, Chao et al., ECCV 2016); 0 changes nothing.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    labels: torch.Tensor
    unseen: torch.Tensor
    seen_bias: float = 0.0

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return calibrated logits (m, n) of features (m, d)."""
        return torch.addmm(self.bias - self.seen_bias * ~self.unseen, features, self.weight.T)

    def of(self, labels: Sequence[int]) -> "PixelClassifier":
        """Return the rows of some label ids."""
        rows = torch.isin(self.labels, torch.tensor(labels, device=self.labels.device))
        return dataclasses.replace(
            self, weight=self.weight[rows], bias=self.bias[rows], labels=self.labels[rows], unseen=self.unseen[rows]
        )

    def to(self, device: torch.device) -> "PixelClassifier":
        """Return a copy on `device`."""
        tensors = {name: getattr(self, name).to(device) for name in ("weight", "bias", "labels", "unseen")}
        return dataclasses.replace(self, **tensors)


# A classifier and the metadata saved with it.
Provenance = tuple[PixelClassifier, dict[str, Any]]


class Entries(typing_extensions.TypedDict):
    """A classifier in a checkpoint: its fields by name."""

    __pydantic_config__ = pydantic.ConfigDict(checkpoints.ENTRIES, extra="forbid")  # type: ignore[misc]
    weight: torch.Tensor
    bias: torch.Tensor
    labels: torch.Tensor
    unseen: torch.Tensor
    seen_bias: float


class _Checkpoint(typing_extensions.TypedDict):
    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    classifier: Entries


def of_layer(weight: torch.Tensor, bias: torch.Tensor, seen: Sequence[int]) -> PixelClassifier:
    """Return a network's last layer as a classifier on the CPU.

    Args:
        weight: (n, d, 1, 1) of the 1x1 convolution.
        bias: (n,).
        seen: the label id of each of the n rows; all classes are seen.
    """
    return PixelClassifier(
        weight=weight.detach().float().cpu()[:, :, 0, 0],
        bias=bias.detach().float().cpu(),
        labels=torch.tensor(seen),
        unseen=torch.zeros(len(seen), dtype=torch.bool),
    )


@torch.inference_mode()
def predict_maps(
    classifier: PixelClassifier,
    features: np.ndarray,
    size: tuple[int, int],
    image_size: tuple[int, int] | None = None,
    *,
    stride: int,
) -> dict[str, np.ndarray]:
    """Label an image under each protocol, from logits that are bilinearly upsampled once.

    Args:
        classifier: C classes, on the device to compute on.
        features: (h, w, d) of any float type.
        size: H and W of the label maps.
        image_size: height and width of the image that the features are of; None if it is `size`. If it differs, logits are resized
            to `size` after they were upsampled to the image.
        stride: pixels of the image between neighbouring cells.

    Returns:
        label maps (H, W) int64 by protocol: `generalised`, with the seen bias; `without_bias`; and, if the classifier has an unseen
        class, `vanilla`, which chooses among unseen classes only.
    """
    h, w, d = features.shape
    cells = torch.from_numpy(features).to(classifier.weight.device).float()
    unbiased = dataclasses.replace(classifier, seen_bias=0.0)
    logits = unbiased.logits(cells.reshape(-1, d)).T.reshape(1, -1, h, w)

    def best(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the largest upsampled logit (H, W) of some rows (C,) bool, and its label."""
        pixels = grids.upsample(logits[:, rows], image_size or size, stride)
        if pixels.shape[-2:] != size:
            pixels = functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
        highest, row = pixels[0].max(0)
        return highest, classifier.labels[rows][row]

    seen, seen_labels = best(~classifier.unseen)
    if not classifier.unseen.any():
        label_maps = {"generalised": seen_labels, "without_bias": seen_labels}
    else:
        unseen, unseen_labels = best(classifier.unseen)
        label_maps = {
            # The bias is the same for all pixels, so it can be subtracted after upsampling.
            "generalised": torch.where(unseen > seen - classifier.seen_bias, unseen_labels, seen_labels),
            "without_bias": torch.where(unseen > seen, unseen_labels, seen_labels),
            "vanilla": unseen_labels,
        }
    return {name: labels.cpu().numpy() for name, labels in label_maps.items()}


def save(path: str | pathlib.Path, classifier: PixelClassifier, **metadata: Any) -> None:
    """Write a classifier with its `metadata`: plain values such as class names and the configuration that made it."""
    checkpoints.save(path, {**metadata, "classifier": dataclasses.asdict(classifier)})


def load(path: str | pathlib.Path) -> Provenance:
    """Read a classifier and the metadata saved with it.

    Raises:
        checkpoints.CheckpointError: if the file is missing, damaged or not a classifier.
    """
    metadata = checkpoints.load(path, _Checkpoint)
    return PixelClassifier(**metadata.pop("classifier")), metadata
