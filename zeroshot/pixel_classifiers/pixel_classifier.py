"""The last 1x1 convolution as a linear classifier of pixel features: the only layer that zero-shot learning changes."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

    Pixels are labelled in strips of rows, so that memory for logits hardly grows with the size of the image.

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
    device, image_size = classifier.weight.device, image_size or size
    cells = torch.from_numpy(features)
    unbiased = dataclasses.replace(classifier, seen_bias=0.0)
    # Rows of the classifier: of seen classes, and of unseen classes if there are any.
    groups = [torch.nonzero(group).flatten() for group in (~classifier.unseen, classifier.unseen) if group.any()]
    order, sizes = torch.cat(groups), [len(group) for group in groups]

    def logits(rows: slice) -> torch.Tensor:
        """Return the logits (1, C, rows, w) of rows of cells, in `order`."""
        part = cells[rows].to(device).float()
        h, w, d = part.shape
        return unbiased.logits(part.reshape(-1, d)).T.reshape(1, -1, h, w)[:, order]

    if image_size == size:
        strips = (
            (rows, [_largest([group]) for group in pixels[0].split(sizes)])
            for rows, pixels in grids.upsample_strips(logits, len(order), size, stride)
        )
    else:
        # A strip of a resized image has no rows of cells of its own, so these logits are divided by class.
        parts = logits(slice(None)).split(sizes, dim=1)
        strips = [(slice(None), [_largest(_resized(group, image_size, size, stride)) for group in parts])]

    names = ("generalised", "without_bias", *(["vanilla"] if classifier.unseen.any() else []))
    label_maps = {name: np.empty(size, np.int64) for name in names}
    for rows, largest in strips:
        logit = [values for values, _ in largest]
        label = [classifier.labels[group][row] for group, (_, row) in zip(groups, largest, strict=True)]
        if "vanilla" in label_maps:
            labels_by_name = {
                # The bias is the same for all pixels, so it can be subtracted after upsampling.
                "generalised": torch.where(logit[1] > logit[0] - classifier.seen_bias, label[1], label[0]),
                "without_bias": torch.where(logit[1] > logit[0], label[1], label[0]),
                "vanilla": label[1],
            }
        else:
            labels_by_name = dict.fromkeys(names, label[0])
        for name, labels in labels_by_name.items():
            label_maps[name][rows] = labels.cpu().numpy()
    return label_maps


def _resized(
    logits: torch.Tensor, image_size: tuple[int, int], size: tuple[int, int], stride: int
) -> Iterator[torch.Tensor]:
    """Yield logits (1, C, h, w) upsampled to the image and then resized, (c, *size), for blocks of c classes in their order."""
    most = max(1, grids.STRIP_VALUES // max(math.prod(image_size), math.prod(size)))
    for block in logits.split(most, dim=1):
        pixels = grids.upsample(block, image_size, stride)
        yield functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)[0]


def _largest(blocks: Iterable[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest value (H, W) of all channels of one or more blocks (c, H, W), and the number of its channel."""
    remaining = iter(blocks)
    block = next(remaining)
    (highest, channel), n_before = block.max(0), len(block)
    for block in remaining:
        values, index = block.max(0)
        better = values > highest
        highest, channel = torch.where(better, values, highest), torch.where(better, index + n_before, channel)
        n_before += len(block)
    return highest, channel


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
