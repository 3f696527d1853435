"""The last 1x1 layer on its own: a linear classifier of pixel features, which is all that zero-shot learning changes."""

import dataclasses
import pathlib
from typing import Any

import torch

from zeroshot.base import checkpoints


@dataclasses.dataclass(frozen=True)
class PixelClassifier:
    """f of the paper (section 2.2, step 2), with a bias taken off the logits of seen classes.

    Attributes:
        weight: (n, d) float32.
        bias: (n,) float32.
        labels: (n,) int64, the label id of each row.
        unseen: (n,) bool, whether the row's class is unseen.
        seen_bias: taken off every seen logit (calibrated stacking, Chao et al., ECCV 2016); 0 changes nothing.
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


def save(path: str | pathlib.Path, classifier: PixelClassifier, **facts: Any) -> None:
    """Write a classifier; `facts` are plain values kept beside it (class names, how it was made)."""
    checkpoints.save(path, {**facts, "classifier": dataclasses.asdict(classifier)})


def load(path: str | pathlib.Path) -> tuple[PixelClassifier, dict[str, Any]]:
    """Read a classifier and the facts saved with it."""
    facts = checkpoints.load(path)
    return PixelClassifier(**facts.pop("classifier")), facts
