"""What a model file of ZSI contains: everything that finding the instances of an image needs."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pydantic
import torch
import typing_extensions

from zeroshot.base import checkpoints, errors, params
from zeroshot.datasets.instances import class_list
from zeroshot.networks import pretraining
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import model
from zeroshot.zsi import detector as zsi_detector
from zeroshot.zsi import detector_files, inference, scoring, sections
from zeroshot.zsi.regions import region_heads

# Version of the entries of a model file.
LAYOUT = 3
_REMEDY = "give a model that `dvc repro zsi/dvc.yaml` wrote"


@dataclasses.dataclass(frozen=True)
class InstanceModel:
    """A trained detector with the names of its classes.

    Attributes:
        name: `synthesised`, `mix`, ...
        classes: names, category ids and roles.
        detector: in evaluation mode, on the device to compute on.
        scorer: gives the scores of classes: a scoring of the detector itself, or a head on its region features, on that device.
        most_regions: how many regions of an image the classifier sees, the surest ones; None for all.
        detection: least score, suppression and masks, as when the model was evaluated.
        pretraining: `detector.pretraining`.
        figures: seen, unseen and harmonic mAP of masks at IoU 0.5 (GZSI) when it was packed, in per cent; None without such objects.
    """

    name: str
    classes: class_list.InstanceClasses
    detector: zsi_detector.Detector
    scorer: scoring.Scoring | region_heads.RegionHead
    most_regions: int | None
    detection: sections.Detection
    pretraining: pretraining.Pretraining
    figures: Mapping[str, float | None]

    @property
    def device(self) -> torch.device:
        """The device to compute on."""
        return self.detector.box_head.vectors.device

    def __str__(self) -> str:
        """The model in a few words: its classes and figures, and what its encoder was pretrained with."""
        classes = self.classes
        unseen = [classes.classes[label] for label in classes.unseen]
        listed = f" ({', '.join(unseen)})" if 0 < len(unseen) <= 10 else ""
        measured = [f"{name} {value:.1f}" for name, value in self.figures.items() if value is not None]
        figures = f"evaluated: {', '.join(measured)} mAP of masks" if measured else "not evaluated"
        return (
            f"a model of ZSI ({self.name}), {len(classes.seen) + len(unseen)} classes, {len(unseen)} of them without masks{listed};"
            f" {figures}. {pretraining.SENTENCES[self.pretraining]}"
        )

    def labels(self, names: Sequence[str]) -> list[int]:
        """Return the labels of classes by name.

        Raises:
            errors.UserError: if the model has no class of a name; the text lists those that it has.
        """
        return model.labels_of(self.classes.classes, (*self.classes.seen, *self.classes.unseen), names)

    def labelling(self, regions: inference.Regions, among: Sequence[int] | None) -> inference.Labelling:
        """Return how the model labels regions if all classes can be predicted, or those with the labels `among` alone."""
        if isinstance(self.scorer, region_heads.RegionHead):
            return region_heads.labelling(self.scorer, self.detector, regions.features, "gzsi", among)
        semantics = self.detector.box_head.semantics(regions.features)
        return inference.labelling(self.detector, semantics, self.scorer, "gzsi", among)


def _kind_of_scorer(entries: Any) -> str:
    return "scoring" if isinstance(entries, str) else "classifier"


class Content(typing_extensions.TypedDict):
    """The entries of a model file.

    Entries:
        layout: `LAYOUT`.
        system: always `zsi`, which no other kind of model file has.
        name, most_regions, figures: as in `InstanceModel`.
        detector: the file of the detector.
        scorer: the name of a scoring, or a classifier as `dataclasses.asdict` gives it.
        semantic_weight: that of `region_heads.RegionHead`; None for a scoring.
        detection: the section.
        provenance: `split` and `evaluation` of the metrics, `config`, the parameters of the classifier if there is one, and `sha256` of
            the files of the detector and the classifier.
    """

    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    layout: int
    system: Literal["zsi"]
    name: str
    detector: detector_files.Checkpoint
    scorer: Annotated[
        Annotated[scoring.Scoring, pydantic.Tag("scoring")]
        | Annotated[pixel_classifier.Entries, pydantic.Tag("classifier")],
        pydantic.Discriminator(_kind_of_scorer),
    ]
    semantic_weight: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] | None
    most_regions: int | None
    detection: dict[str, Any]
    figures: dict[str, float | None]
    provenance: dict[str, Any]


def _in_present_layout(entries: Any) -> Any:
    """Return the entries of a file of version 1 or 2 as those of version 3; refuse files of other systems, and later versions.

    Classifiers of version 2 were used without the detector's semantic vectors. Detectors of version 1 had as many candidates of proposals
    as they kept; their classifiers found masks of unseen classes by the likeliest seen class, and find them by their own word vectors now,
    so the figures of such files are not quite those of their masks.
    """
    if not isinstance(entries, dict) or entries.get("system") != model.INSTANCES:
        raise ValueError("it is no model of ZSI")
    layout = entries.get("layout")
    if layout not in range(1, LAYOUT + 1):
        raise ValueError(
            f"it has layout {layout} of model files of ZSI, and this version of the code reads layouts 1 to {LAYOUT}; update the code"
        )
    detector = entries.get("detector")
    if layout == 1 and isinstance(detector, dict) and isinstance(detector.get("config"), dict):
        rpn = detector["config"].get("rpn")
        if isinstance(rpn, dict) and {"proposals_train", "proposals_test"} <= rpn.keys():
            kept = {"candidates_train": rpn["proposals_train"], "candidates_test": rpn["proposals_test"]}
            config = {**detector["config"], "rpn": {**kept, **rpn}}
            entries = {**entries, "detector": {**detector, "config": config}}
    if layout in (1, 2):
        entries = {**entries, "semantic_weight": None if isinstance(entries.get("scorer"), str) else 0.0}
    return {**entries, "layout": LAYOUT}


def check(path: str | pathlib.Path, entries: dict[str, Any]) -> dict[str, Any]:
    """Return entries from `model.read_any`, as in `Content`.

    Raises:
        checkpoints.CheckpointError: if entries are missing or wrong, or of a later version of the code.
    """
    return checkpoints.check(path, entries, Annotated[Content, pydantic.BeforeValidator(_in_present_layout)], _REMEDY)


def load(path: str | pathlib.Path, device: torch.device | str = "cpu") -> InstanceModel:
    """Read a model file for prediction.

    Raises:
        checkpoints.CheckpointError: if the file is missing, damaged, no model of ZSI, or of a later version of the code.
    """
    return build(path, check(path, model.read_any(path)), torch.device(device))


def build(path: str | pathlib.Path, content: dict[str, Any], device: torch.device) -> InstanceModel:
    """Return the model of the entries of the model file at `path`.

    Raises:
        checkpoints.CheckpointError: if the entries do not fit each other.
    """
    try:
        detector, classes = detector_files.load(content["detector"])
        scorer = _scorer(content, detector, classes, device)
        detection = params.build(content["detection"], sections.Detection, "detection", "its section")
    except errors.UserError as error:
        raise checkpoints.CheckpointError(f"{path}: {error}; {_REMEDY}") from error
    return InstanceModel(
        content["name"],
        classes,
        detector.to(device),
        scorer,
        content["most_regions"],
        detection,
        content["detector"]["facts"]["pretraining"],
        content["figures"],
    )


def _scorer(
    content: Mapping[str, Any],
    detector: zsi_detector.Detector,
    classes: class_list.InstanceClasses,
    device: torch.device,
) -> scoring.Scoring | region_heads.RegionHead:
    """Return `InstanceModel.scorer` of the entries of a model file.

    Raises:
        errors.UserError: if it is a classifier of other classes or features, or the weight does not belong to it.
    """
    scorer, weight = content["scorer"], content["semantic_weight"]
    if isinstance(scorer, Mapping) != (weight is not None):
        raise errors.UserError("semantic_weight: a classifier has one, and a scoring has none")
    if not isinstance(scorer, Mapping):
        return scorer
    classifier = pixel_classifier.PixelClassifier(**scorer).to(device)
    head = region_heads.of_classifier(classifier, classes, weight)
    found, dim = classifier.weight.shape[1], detector.box_head.regressor.in_features
    if found != dim:
        raise errors.UserError(f"its classifier reads features of length {found}, and those of its detector have {dim}")
    return head
