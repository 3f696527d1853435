"""Making a model file of ZSI from the files of its pipeline."""

import dataclasses
import pathlib
import typing
from typing import Any

import torch

from zeroshot.base import checkpoints, errors, params, storage
from zeroshot.evaluation.instances import instance_summary
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import model
from zeroshot.prediction.instances import instance_model
from zeroshot.zsi import detector_files, scoring, sections


def pack(
    detector_path: pathlib.Path,
    classifier_path: pathlib.Path | None,
    metrics_path: pathlib.Path,
    detection: sections.Detection,
    most_regions: int,
) -> dict[str, Any]:
    """Return the entries of a model file.

    Args:
        detector_path: the detector.
        classifier_path: a classifier of its region features; None: the scoring that the metrics name gives the scores.
        metrics_path: the metrics of that classifier or scoring. They have the weight of semantic vectors with which it was evaluated.
        detection: the section.
        most_regions: how many regions of an image the classifier sees; scorings see all.

    Raises:
        errors.UserError: if a file cannot be used, or the classifier is not one of this detector.
    """
    metrics = instance_summary.read([metrics_path])[metrics_path.stem]
    checksums, config = {"detector": storage.sha256(detector_path)}, None
    scorer: Any = metrics["scoring"]
    possible = [*typing.get_args(scoring.Scoring)] if classifier_path is None else [classifier_path.stem]
    if scorer not in possible:
        raise errors.UserError(
            f"{metrics_path}: has the metrics of {scorer}, and those of {' or '.join(possible)} are needed"
        )
    if classifier_path is not None:
        classifier, metadata = pixel_classifier.load(classifier_path)
        scorer, config = dataclasses.asdict(classifier), metadata.get("config")
        checksums["classifier"] = storage.sha256(classifier_path)
    content = {
        "layout": instance_model.LAYOUT,
        "system": model.INSTANCES,
        "name": metrics["scoring"],
        "detector": checkpoints.load(detector_path, detector_files.Checkpoint),
        "scorer": scorer,
        "semantic_weight": metrics["detector"].get("semantic_weight"),
        "most_regions": None if classifier_path is None else most_regions,
        "detection": params.to_dict(detection),
        "figures": {role: metrics["gzsi"][role]["mAP50"] for role in ("seen", "unseen", "harmonic")},
        "provenance": {
            "split": metrics["split"],
            "evaluation": metrics["evaluation"],
            "config": config,
            "sha256": checksums,
        },
    }
    # They refuse files that do not fit each other.
    instance_model.build(
        classifier_path or detector_path, instance_model.check(metrics_path, content), torch.device("cpu")
    )
    return content
