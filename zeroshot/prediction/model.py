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
from zeroshot.networks import backbone, pretraining
from zeroshot.pixel_classifiers import pixel_classifier

_REMEDY = (
    "give a model that `dvc repro zs3net`, `dvc repro zs5net`, `zeroshot add-class` or `zeroshot remove-class` wrote"
)


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained network with the names of its classes.

    Attributes:
        names: in label order; a removed class keeps its name and its label id.
        classifier: the last layer, on the device to compute on.
        extract: maps images (b, 3, H, W) uint8 to features (b, d, ceil(H / stride), ceil(W / stride)).
        stride: pixels between neighbouring cells.
        colours: (C, 3) uint8, the colour of each class.
        side: the longest side in pixels of a typical training image.
        pretraining: `backbone.pretraining`.
        figures: `generalised` of the model's metrics when it was packed; None after a change of its classes.
    """

    names: tuple[str, ...]
    classifier: pixel_classifier.PixelClassifier
    extract: Callable[[torch.Tensor], torch.Tensor]
    stride: int
    colours: np.ndarray
    side: int
    pretraining: pretraining.Pretraining
    figures: dict[str, Any] | None

    @property
    def labels(self) -> tuple[int, ...]:
        """The label ids of all classes, in ascending order."""
        return tuple(sorted(self.classifier.labels.tolist()))

    @property
    def unseen(self) -> tuple[int, ...]:
        """The label ids of the classes without masks, in ascending order."""
        return tuple(sorted(self.classifier.labels[self.classifier.unseen].tolist()))

    def __str__(self) -> str:
        """The model in a few words: its classes, those without masks, its figures, and what its encoder was pretrained with."""
        unseen = [self.names[label] for label in self.unseen]
        text = f"{len(self.labels)} classes, {len(unseen)} of them without masks"
        text += f" ({', '.join(unseen)})" if 0 < len(unseen) <= 10 else ""
        encoder = pretraining.SENTENCES[self.pretraining]
        if self.figures is None:
            return f"{text}; not evaluated with these classes. {encoder}"
        parts = {
            "seen": self.figures["seen"]["mIoU"],
            "unseen": self.figures["unseen"]["mIoU"],
            "hIoU": self.figures["hIoU"],
        }
        figures = ", ".join(f"{name} {value:.1f}" for name, value in parts.items() if value is not None)
        return f"{text}; evaluated: {figures}. {encoder}"

    def choose(self, names: Sequence[str]) -> pixel_classifier.PixelClassifier:
        """Return the classifier of some classes and of the background.

        Raises:
            errors.UserError: if the model has no class of a name.
        """
        labels = labels_of(self.names, self.labels, names)
        return self.classifier.of(sorted({label_ids.BACKGROUND, *labels}))


def labels_of(names: Sequence[str], labels: Sequence[int], wanted: Sequence[str]) -> list[int]:
    """Return the label ids of classes by name.

    Args:
        names: of all classes in label order.
        labels: the label ids that the model has.
        wanted: the names.

    Raises:
        errors.UserError: if the model has no class of a name; the text lists those that it has.
    """
    known = {names[label]: label for label in labels}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        listed = ", ".join(f"`{name}`" for name in unknown)
        raise errors.UserError(f"no class {listed}; the model has {', '.join(known)}")
    return [known[name] for name in wanted]


class Ingredients(typing_extensions.TypedDict):
    """What new classes are learnt from; only models that have a generator contain it.

    Entries:
        generator: as in `generators.registry.save_dict`.
        pool: the fields of a `pools.Pool` of real features of seen classes.
        classifier: the section `classifier`.
        embeddings: the section `embeddings`.
        seen_bias: the seen bias of classes that are known from synthetic features alone (ZS3Net's).
    """

    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    generator: dict[str, Any]
    pool: dict[str, torch.Tensor]
    classifier: dict[str, Any]
    embeddings: dict[str, Any]
    seen_bias: float


class Content(typing_extensions.TypedDict):
    """The entries of a model file, with the names, colours and side of `Model`.

    Entries:
        figures: `generalised` of the model's metrics when it was packed; None after a change of its classes.
        ingredients: None if classes cannot be added.
    """

    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    names: list[str]
    colours: torch.Tensor
    side: int
    classifier: pixel_classifier.Entries
    backbone: backbone.Entries
    figures: dict[str, Any] | None
    ingredients: Ingredients | None


def read(path: str | pathlib.Path) -> dict[str, Any]:
    """Read the entries of a model file.

    Raises:
        checkpoints.CheckpointError: if the file is missing, damaged or no model file.
    """
    return checkpoints.load(path, Content, _REMEDY)


def load(path: str | pathlib.Path, device: torch.device | str = "cpu") -> Model:
    """Read a model file for prediction; the errors are those of `read`."""
    return build(read(path), torch.device(device))


def build(content: dict[str, Any], device: torch.device) -> Model:
    """Return the model of the entries of a model file."""
    network = backbone.load(content["backbone"])
    return Model(
        tuple(content["names"]),
        pixel_classifier.PixelClassifier(**content["classifier"]).to(device),
        backbone.extractor(network, device, "float32"),
        network.stride,
        content["colours"].numpy(),
        content["side"],
        content["backbone"]["config"]["pretraining"],
        content["figures"],
    )
