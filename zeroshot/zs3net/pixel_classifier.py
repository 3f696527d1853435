"""The last 1x1 convolution as a linear classifier of pixel features: the only layer that zero-shot learning changes."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pydantic
import torch
import typing_extensions
from torch.nn import functional

from zeroshot.base import checkpoints, errors, user_files
from zeroshot.datasets import splits
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

    def to(self, device: torch.device) -> "PixelClassifier":
        """Return a copy on `device`."""
        tensors = {name: getattr(self, name).to(device) for name in ("weight", "bias", "labels", "unseen")}
        return dataclasses.replace(self, **tensors)


def _check_shapes(entries: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a classifier if their shapes and types fit each other, as `PixelClassifier` says."""
    n = len(entries["labels"]) if entries["labels"].ndim else 0
    needed = {"bias": torch.float32, "labels": torch.int64, "unseen": torch.bool}
    wrong = [name for name, dtype in needed.items() if entries[name].shape != (n,) or entries[name].dtype != dtype]
    if entries["weight"].ndim != 2 or len(entries["weight"]) != n or entries["weight"].dtype != torch.float32:
        wrong.insert(0, "weight")
    if wrong or not n:
        raise ValueError(f"the tensors of {n} classes have wrong shapes or types: {', '.join(wrong) or 'all'}")
    return entries


class _Fields(typing_extensions.TypedDict):
    """A classifier in a checkpoint: its fields by name."""

    __pydantic_config__ = pydantic.ConfigDict(checkpoints.ENTRIES, extra="forbid")  # type: ignore[misc]
    weight: torch.Tensor
    bias: torch.Tensor
    labels: torch.Tensor
    unseen: torch.Tensor
    seen_bias: float


Entries = Annotated[_Fields, pydantic.AfterValidator(_check_shapes)]


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


def load(
    path: str | pathlib.Path, split: splits.Split | None = None, dim: int | None = None
) -> tuple[PixelClassifier, dict[str, Any]]:
    """Read a classifier and the metadata saved with it.

    Args:
        path: the file.
        split: the split that the classifier must fit; any if None.
        dim: the length of the features that it must fit; any if None.

    Raises:
        checkpoints.CheckpointError: if the file is missing, damaged or not a classifier, or is one of another run, which fits other
            classes or features; the text names what differs.
    """
    metadata = checkpoints.load(path, _Checkpoint)
    classifier = PixelClassifier(**metadata.pop("classifier"))
    fault = _misfit(classifier, metadata, split, dim)
    if fault:
        raise checkpoints.CheckpointError(f"{path}: is a classifier of another run: {fault}; {user_files.REMEDY}")
    return classifier, metadata


def _misfit(
    classifier: PixelClassifier, metadata: Mapping[str, Any], split: splits.Split | None, dim: int | None
) -> str | None:
    """Return the first thing of a classifier that does not fit the features or the split, or None."""
    n_features = classifier.weight.shape[1]
    if dim not in (None, n_features):
        return f"it reads features of length {n_features}, and the cached ones have {dim}"
    if split is None:
        return None
    labels = set(classifier.labels.tolist())
    if labels and not 0 <= min(labels) <= max(labels) < len(split.classes):
        return f"it has the label ids {min(labels)} to {max(labels)}, and the split has {len(split.classes)} classes"
    if metadata.get("classes", list(split.classes)) != list(split.classes):
        return "the names of its classes are not those of the split"
    unseen = set(classifier.labels[classifier.unseen].tolist())
    wrong = sorted(unseen - set(split.unseen)) or sorted((labels - unseen) & set(split.unseen))
    if wrong:
        role, other = ("unseen", "seen") if wrong[0] in unseen else ("seen", "unseen")
        names = ", ".join(split.classes[label] for label in wrong[: errors.MAX_LISTED])
        return f"it has as {role} what the split has as {other}: {names}"
    return None
