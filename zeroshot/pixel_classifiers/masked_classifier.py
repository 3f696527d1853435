"""A pixel classifier with a seen mask: a linear guess whether the class of a pixel is one that the network was trained on (SZN)."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any

import pydantic
import torch
import typing_extensions

from zeroshot.base import checkpoints
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier


@dataclasses.dataclass(frozen=True)
class MaskedClassifier:
    """A classifier of all classes, and a seen mask that chooses the side of each pixel (Doshi 2018, "seenmask").

    The seen side has the classes that the network was trained on. The unseen side has the unseen classes and, as an option, the classes
    that taught the mask what an untrained class looks like, `train_unseen`. Metrics count those as seen.

    Attributes:
        classifier: n classes; its `unseen` are the roles that metrics use. Its own seen bias and side window are not used.
        unseen_side: (n,) bool, the classes to choose from where the mask says unseen.
        mask_weight: (d,) float32, of the log-odds that a pixel is of a seen side's class.
        mask_bias: () float32.
        seen_bias: the threshold: a pixel is on the seen side where the log-odds are at least this.
    """

    classifier: pixel_classifier.PixelClassifier
    unseen_side: torch.Tensor
    mask_weight: torch.Tensor
    mask_bias: torch.Tensor
    seen_bias: float = 0.0

    @property
    def labels(self) -> torch.Tensor:
        """The label id (n,) int64 of each class."""
        return self.classifier.labels

    @property
    def unseen(self) -> torch.Tensor:
        """Whether each class is unseen in metrics, (n,) bool."""
        return self.classifier.unseen

    @property
    def device(self) -> torch.device:
        """The device to compute on."""
        return self.mask_weight.device

    def log_odds(self, features: torch.Tensor) -> torch.Tensor:
        """Return the log-odds (m,) of the seen side for features (m, d)."""
        return features @ self.mask_weight + self.mask_bias

    def sides(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return label ids (m,) int64 of the best class of the seen and of the unseen side of features (m, d), and the log-odds (m,)."""
        logits = dataclasses.replace(self.classifier, seen_bias=0.0).logits(features)
        seen, unseen = (
            self.labels[side][logits[:, side].argmax(dim=1)] for side in (~self.unseen_side, self.unseen_side)
        )
        return seen, unseen, self.log_odds(features)

    def of(self, labels: Sequence[int]) -> "MaskedClassifier":
        """Return the classes of some label ids, with the same mask."""
        rows = torch.isin(self.labels, torch.tensor(labels, device=self.labels.device))
        return dataclasses.replace(self, classifier=self.classifier.of(labels), unseen_side=self.unseen_side[rows])

    def to(self, device: torch.device) -> "MaskedClassifier":
        """Return a copy on `device`."""
        tensors = {name: getattr(self, name).to(device) for name in ("unseen_side", "mask_weight", "mask_bias")}
        return dataclasses.replace(self, classifier=self.classifier.to(device), **tensors)


# A classifier of pixels of either kind.
Classifier = pixel_classifier.PixelClassifier | MaskedClassifier


def _check_shapes(entries: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a masked classifier if their shapes and types fit each other, as `MaskedClassifier` says."""
    n, d = entries["classifier"]["weight"].shape
    needed = {"unseen_side": (torch.bool, (n,)), "mask_weight": (torch.float32, (d,)), "mask_bias": (torch.float32, ())}
    wrong = [
        name for name, (dtype, shape) in needed.items() if entries[name].dtype != dtype or entries[name].shape != shape
    ]
    if wrong:
        raise ValueError(f"the tensors of {n} classes have wrong shapes or types: {', '.join(wrong)}")
    if (entries["classifier"]["unseen"] & ~entries["unseen_side"]).any():
        raise ValueError("an unseen class is on the seen side")
    return entries


class _Fields(typing_extensions.TypedDict):
    """A masked classifier in a checkpoint: its fields by name."""

    __pydantic_config__ = pydantic.ConfigDict(checkpoints.ENTRIES, extra="forbid")  # type: ignore[misc]
    classifier: pixel_classifier.Entries
    unseen_side: torch.Tensor
    mask_weight: torch.Tensor
    mask_bias: torch.Tensor
    seen_bias: float


# A masked classifier in a checkpoint, with checked shapes.
Entries = Annotated[_Fields, pydantic.AfterValidator(_check_shapes)]


class _Checkpoint(typing_extensions.TypedDict):
    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    masked: Entries


def save(path: str | pathlib.Path, masked: MaskedClassifier, **metadata: Any) -> None:
    """Write a masked classifier with its `metadata`: plain values such as class names and the configuration that made it."""
    checkpoints.save(path, {**metadata, "masked": dataclasses.asdict(masked)})


def load(
    path: str | pathlib.Path, split: splits.Split | None = None, dim: int | None = None
) -> tuple[MaskedClassifier, dict[str, Any]]:
    """Read a masked classifier and the metadata saved with it; arguments and errors are those of `pixel_classifier.load`."""
    metadata = checkpoints.load(path, _Checkpoint)
    masked = of_entries(metadata.pop("masked"))
    pixel_classifier.check_fits(path, masked.classifier, metadata, split, dim)
    return masked, metadata


def of_entries(entries: dict[str, Any]) -> MaskedClassifier:
    """Return the classifier of `Entries`, which `dataclasses.asdict` gives."""
    classifier = pixel_classifier.PixelClassifier(**entries["classifier"])
    return MaskedClassifier(**{**entries, "classifier": classifier})
