"""What a model file contains: everything that the segmentation of an image needs."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import typing_extensions

from zeroshot.base import checkpoints, errors
from zeroshot.images import label_ids
from zeroshot.networks import backbone
from zeroshot.zs3net import pixel_classifier

_REMEDY = "give a file that `zeroshot export-model` wrote"


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained network with the names of its classes.

    Attributes:
        classes: names in label order.
        classifier: the last layer, on the device to compute on.
        extract: maps images (b, 3, H, W) uint8 to features (b, d, ceil(H / stride), ceil(W / stride)).
        stride: pixels between neighbouring cells.
        colours: (C, 3) uint8, the colour of each class.
    """

    classes: tuple[str, ...]
    classifier: pixel_classifier.PixelClassifier
    extract: Callable[[torch.Tensor], torch.Tensor]
    stride: int
    colours: np.ndarray

    @property
    def unseen(self) -> tuple[int, ...]:
        """The label ids of the classes without masks, in ascending order."""
        return tuple(sorted(self.classifier.labels[self.classifier.unseen].tolist()))

    def choose(self, names: Sequence[str]) -> pixel_classifier.PixelClassifier:
        """Return the classifier of some classes, and of the background if the model has one.

        Raises:
            errors.UserError: if a name is not one of `classes`.
        """
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            raise errors.UserError(
                f"no class {', '.join(f'`{name}`' for name in unknown)}; the model has {', '.join(self.classes)}"
            )
        labels = {self.classes.index(name) for name in names} | {label_ids.BACKGROUND}
        return self.classifier.of(sorted(labels))


class Checkpoint(typing_extensions.TypedDict):
    """The entries of a model file."""

    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    classes: list[str]
    colours: torch.Tensor
    classifier: pixel_classifier.Entries
    backbone: backbone.Entries


def save(path: str | pathlib.Path, backbone_path: str | pathlib.Path, classifier_path: str | pathlib.Path) -> None:
    """Write a model file from a trained network and a last layer for its features.

    Raises:
        checkpoints.CheckpointError: if a file cannot be used.
    """
    network = checkpoints.load(backbone_path, backbone.Checkpoint)
    classifier, provenance = pixel_classifier.load(classifier_path)
    names = provenance["classes"]
    content: dict[str, Any] = {
        **provenance,
        "colours": torch.from_numpy(label_ids.palette()[: len(names)].copy()),
        "classifier": dataclasses.asdict(classifier),
        "backbone": {"config": network["config"], "network": network["network"]},
    }
    checkpoints.save(path, content)


def load(path: str | pathlib.Path, device: torch.device | str = "cpu") -> Model:
    """Read a model file.

    Raises:
        checkpoints.CheckpointError: if the file is missing, damaged or no model file.
    """
    content = checkpoints.load(path, Checkpoint, _REMEDY)
    device = torch.device(device)
    network = backbone.load(content["backbone"])
    return Model(
        tuple(content["classes"]),
        pixel_classifier.PixelClassifier(**content["classifier"]).to(device),
        backbone.extractor(network, device, "float32"),
        network.stride,
        content["colours"].numpy(),
    )
