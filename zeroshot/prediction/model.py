"""What a model file contains: everything that the segmentation of an image needs."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
import torch
import typing_extensions

from zeroshot.base import checkpoints, errors, params
from zeroshot.images import label_ids
from zeroshot.networks import backbone, pretraining, segmentation_network, weights
from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier

# The pipeline that trained a model: the main one with its baselines, or szn/dvc.yaml.
System = Literal["zs3net", "szn"]
# Version of the entries of a model file. Files of version 1 have no entry `layout`; they are all of zs3net. Those of versions 1 and 2 have
# no side window.
LAYOUT = 3
# The system in files of models that find instances (`prediction.instances`).
INSTANCES = "zsi"
_REMEDY = (
    "give a model that `dvc repro zs3net`, `dvc repro zs5net`, `dvc repro szn/dvc.yaml:szn`, `zeroshot add-class` or "
    "`zeroshot remove-class` wrote"
)


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained network with the names of its classes.

    Attributes:
        names: in label order; a removed class keeps its name and its label id.
        classifier: the last layer, on the device to compute on.
        extract: maps images (b, 3, H, W) uint8 to features (b, d, ceil((H + 2 m) / stride), ceil((W + 2 m) / stride)) with the margin m.
        stride: pixels between neighbouring cells.
        colours: (C, 3) uint8, the colour of each class.
        side: the longest side in pixels of a typical training image.
        pretraining: `backbone.pretraining`.
        figures: `generalised` of the model's metrics when it was packed; None after a change of its classes.
        margin: pixels that a map covers on each side of its image, as in `networks/segmentation_network.py`.
        system: the pipeline that trained the model.
        name: the name of the model in the results of its pipeline, such as `zs5net`; that of the pipeline for files without a name.
        train_unseen: label ids of classes with masks that the network was not trained on.
    """

    names: tuple[str, ...]
    classifier: masked_classifier.Classifier
    extract: Callable[[torch.Tensor], torch.Tensor]
    stride: int
    colours: np.ndarray
    side: int
    pretraining: pretraining.Pretraining
    figures: dict[str, Any] | None
    margin: int = 0
    system: System = "zs3net"
    train_unseen: tuple[int, ...] = ()
    name: str = "zs3net"

    @property
    def labels(self) -> tuple[int, ...]:
        """The label ids of all classes, in ascending order."""
        return tuple(sorted(self.classifier.labels.tolist()))

    @property
    def unseen(self) -> tuple[int, ...]:
        """The label ids of the classes without masks, in ascending order."""
        return tuple(sorted(self.classifier.labels[self.classifier.unseen].tolist()))

    def __str__(self) -> str:
        """The model in a few words: its name and system, classes and figures, and what its encoder was pretrained with."""
        unseen = [self.names[label] for label in self.unseen]
        name = "" if self.name == self.system else f"{self.name}, "
        text = f"{name}a model of {self.system}, {len(self.labels)} classes, {len(unseen)} of them without masks"
        text += f" ({', '.join(unseen)})" if 0 < len(unseen) <= 10 else ""
        n_untrained = len(set(self.labels) & set(self.train_unseen))
        text += f", {n_untrained} with masks that its network was not trained on" if n_untrained else ""
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

    def choose(self, names: Sequence[str]) -> masked_classifier.Classifier:
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


class GeneratorIngredients(typing_extensions.TypedDict):
    """What new classes are learnt from by a model of zs3net that has a generator.

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


class Components(typing_extensions.TypedDict):
    """Principal components of a vocabulary: a vector x becomes `components` @ (x - `mean`)."""

    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    mean: torch.Tensor
    components: torch.Tensor


class VectorIngredients(typing_extensions.TypedDict):
    """What new classes are made of by a model of szn.

    Entries:
        embeddings: the section `embeddings`.
        pca: the reduction of its vectors; None if they were not reduced.
        vectors: (C, j) float32, the vectors of all classes in label order.
        train_seen: label ids of the classes that the network was trained on.
    """

    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    embeddings: dict[str, Any]
    pca: Components | None
    vectors: torch.Tensor
    train_seen: list[int]


Ingredients = GeneratorIngredients | VectorIngredients


def _kind_of_classifier(entries: Any) -> str:
    return "masked" if isinstance(entries, Mapping) and "mask_weight" in entries else "plain"


def _kind_of_ingredients(entries: Any) -> str:
    if entries is None:
        return "none"
    return "vectors" if isinstance(entries, Mapping) and "vectors" in entries else "generator"


class Content(typing_extensions.TypedDict):
    """The entries of a model file, with the names, colours and side of `Model`.

    Entries:
        layout: `LAYOUT`.
        system, train_unseen: as in `Model`.
        classifier: a pixel classifier or one with a seen mask, as `dataclasses.asdict` gives it.
        backbone: the network, the section of parameters that trained it, and in it what its encoder was pretrained with.
        figures: `generalised` of the model's metrics when it was packed; None after a change of its classes.
        ingredients: None if classes cannot be added.
        provenance: `name` as in `Model`, which older files lack, `split` and `exclude` of the metrics, `config`, the parameters of the
            last layer, and `sha256` of the files of the network and the last layer; empty for version 1.
    """

    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    layout: int
    system: System
    names: list[str]
    train_unseen: list[int]
    colours: torch.Tensor
    side: int
    classifier: Annotated[
        Annotated[pixel_classifier.Entries, pydantic.Tag("plain")]
        | Annotated[masked_classifier.Entries, pydantic.Tag("masked")],
        pydantic.Discriminator(_kind_of_classifier),
    ]
    backbone: backbone.Entries
    figures: dict[str, Any] | None
    ingredients: Annotated[
        Annotated[GeneratorIngredients, pydantic.Tag("generator")]
        | Annotated[VectorIngredients, pydantic.Tag("vectors")]
        | Annotated[None, pydantic.Tag("none")],
        pydantic.Discriminator(_kind_of_ingredients),
    ]
    provenance: dict[str, Any]


def _in_present_layout(entries: Any) -> Any:
    """Return the entries of a file of version 1 or 2 as those of version 3; refuse later versions."""
    if not isinstance(entries, dict):
        return entries
    if entries.get("system") == INSTANCES:
        raise ValueError("it is a model of ZSI, which finds instances; only the command `zeroshot predict` takes it")
    layout = entries.get("layout", 1)
    if layout not in range(1, LAYOUT + 1):
        raise ValueError(
            f"it has layout {layout} of model files, and this version of the code reads layouts 1 to {LAYOUT}; update the code"
        )
    if layout == 1:
        entries = {**entries, "system": "zs3net", "train_unseen": [], "provenance": {}}
    ingredients = entries.get("ingredients")
    if layout < LAYOUT and isinstance(ingredients, dict) and isinstance(ingredients.get("classifier"), dict):
        section = {"side_window": 1, **ingredients["classifier"]}
        entries = {**entries, "ingredients": {**ingredients, "classifier": section}}
    return {**entries, "layout": LAYOUT}


@params.section
class _Architecture:
    """The keys of a network's section that its layers depend on. Those of training may differ from the present ones."""

    encoder: weights.Encoder
    output_stride: Literal[8, 16]
    separable: bool
    dropout: params.Fraction


def read(path: str | pathlib.Path) -> dict[str, Any]:
    """Read the entries of a model file, as in `Content`.

    Raises:
        checkpoints.CheckpointError: if the file is missing, damaged, no model file, or of a later version of the code.
    """
    return check(path, read_any(path))


def read_any(path: str | pathlib.Path) -> dict[str, Any]:
    """Read the unchecked entries of a model file of any kind, for `check`, or for `instance_model.check` if the system is `INSTANCES`.

    Raises:
        checkpoints.CheckpointError: if the file is missing, damaged, or has no entries with names.
    """
    return checkpoints.load(path, remedy=f"{_REMEDY}, or one of `dvc repro zsi/dvc.yaml`, which finds instances")


def check(path: str | pathlib.Path, entries: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of the model file at `path` as in `Content`; the errors are those of `read`."""
    return checkpoints.check(path, entries, Annotated[Content, pydantic.BeforeValidator(_in_present_layout)], _REMEDY)


def load(path: str | pathlib.Path, device: torch.device | str = "cpu") -> Model:
    """Read a model file for prediction; the errors are those of `read`."""
    return build(read(path), torch.device(device))


def build(content: dict[str, Any], device: torch.device) -> Model:
    """Return the model of the entries of a model file."""
    network = network_of(content)
    return Model(
        tuple(content["names"]),
        classifier_of(content).to(device),
        backbone.extractor(network, device, "float32"),
        network.stride,
        content["colours"].numpy(),
        content["side"],
        content["backbone"]["config"]["pretraining"],
        content["figures"],
        network.margin,
        content["system"],
        tuple(content["train_unseen"]),
        str(content["provenance"].get("name", content["system"])),
    )


def network_of(content: dict[str, Any]) -> segmentation_network.SegmentationNetwork:
    """Return the network of a model file, in evaluation mode."""
    entries = content["backbone"]
    config = {name: entries["config"].get(name) for name in _Architecture.__dataclass_fields__}
    return backbone.load({**entries, "config": config}, _Architecture, "backbone")


def classifier_of(content: dict[str, Any]) -> masked_classifier.Classifier:
    """Return the last layer of a model file, on the CPU."""
    entries = content["classifier"]
    if _kind_of_classifier(entries) == "masked":
        return masked_classifier.of_entries(entries)
    return pixel_classifier.PixelClassifier(**entries)
