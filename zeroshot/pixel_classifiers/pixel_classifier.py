"""The last 1x1 convolution as a linear classifier of pixel features: the only layer that zero-shot learning changes."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pydantic
import torch
import typing_extensions

from zeroshot.base import checkpoints, errors, user_files
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import side_window


@dataclasses.dataclass(frozen=True)
class PixelClassifier:
    """A linear classifier of pixel features, f in the paper (section 2.2, step 2), with a bias against seen classes.

    Attributes:
        weight: (n, d) float32.
        bias: (n,) float32.
        labels: (n,) int64, the label id of each row.
        unseen: (n,) bool, whether the row's class is unseen.
        seen_bias: subtracted from every seen logit (calibrated stacking, Chao et al., ECCV 2016); 0 changes nothing.
        side_window: side, in cells, of the window over which logits of maps are averaged to choose between seen and unseen classes, an odd
            number (side_window.py); 1 averages nothing. Single features, without neighbours, are labelled as with 1.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    labels: torch.Tensor
    unseen: torch.Tensor
    seen_bias: float = 0.0
    side_window: int = 1

    @property
    def unseen_side(self) -> torch.Tensor | None:
        """The classes (n,) bool of the unseen side; None if no side is chosen first, so that all classes compete at every pixel."""
        has_sides = self.side_window > 1 and bool(self.unseen.any()) and not bool(self.unseen.all())
        return self.unseen if has_sides else None

    @property
    def device(self) -> torch.device:
        """The device to compute on."""
        return self.weight.device

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return calibrated logits (m, n) of features (m, d)."""
        return torch.addmm(self.bias - self.seen_bias * ~self.unseen, features, self.weight.T)

    def sides(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compare the best seen and the best unseen class of features (m, d); the seen bias is not used.

        Returns:
            label ids (m,) int64 of the best seen and of the best unseen class, and the difference of their logits (m,) float32.
        """
        logits = dataclasses.replace(self, seen_bias=0.0).logits(features)
        best = [logits[:, self.unseen == flag].max(1) for flag in (False, True)]
        seen, unseen = (
            self.labels[self.unseen == flag][side.indices] for flag, side in zip((False, True), best, strict=True)
        )
        return seen, unseen, best[0].values - best[1].values

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
    # Files of older versions of this code have no window.
    side_window: typing_extensions.NotRequired[side_window.Window]


# A classifier in a checkpoint, with checked shapes.
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


def save(path: str | pathlib.Path, classifier: PixelClassifier, **metadata: Any) -> None:
    """Write a classifier with its `metadata`: plain values such as class names and the configuration that made it."""
    checkpoints.save(path, {**metadata, "classifier": dataclasses.asdict(classifier)})


def load(path: str | pathlib.Path, split: splits.Split | None = None, dim: int | None = None) -> Provenance:
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
    check_fits(path, classifier, metadata, split, dim)
    return classifier, metadata


def check_fits(
    path: str | pathlib.Path,
    classifier: PixelClassifier,
    metadata: Mapping[str, Any],
    split: splits.Split | None,
    dim: int | None,
) -> None:
    """Check that a classifier fits the features of length `dim` and the split; arguments and error are those of `load`."""
    fault = _misfit(classifier, metadata, split, dim)
    if fault:
        raise checkpoints.CheckpointError(f"{path}: is a classifier of another run: {fault}; {user_files.REMEDY}")


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
