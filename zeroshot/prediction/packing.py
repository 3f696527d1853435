"""Making a model file from the files of a pipeline."""

import dataclasses
import json
import pathlib
from typing import Any

import torch

from zeroshot.base import checkpoints, errors, storage
from zeroshot.figures import colours
from zeroshot.networks import backbone
from zeroshot.pixel_classifiers import masked_classifier
from zeroshot.prediction import model


def pack(
    system: model.System,
    network_path: pathlib.Path,
    classifier_path: pathlib.Path,
    loaded: tuple[masked_classifier.Classifier, dict[str, Any]],
    metrics_path: pathlib.Path,
    ingredients: model.Ingredients | None,
) -> dict[str, Any]:
    """Return the entries of a model file.

    Args:
        system: the pipeline of the files.
        network_path: the trained network.
        classifier_path: its last layer, in a file with the name of the model: `zs3net`, `zs5net`, `ale`, ...
        loaded: the classifier and the metadata in `classifier_path`.
        metrics_path: the metrics of the last layer.
        ingredients: what new classes are learnt from, or None.

    Raises:
        errors.UserError: if a file cannot be used, or the last layer is not one of this network.
    """
    network = checkpoints.load(network_path, backbone.Checkpoint)
    classifier, metadata = loaded
    plain = classifier.classifier if isinstance(classifier, masked_classifier.MaskedClassifier) else classifier
    dim = network["network"]["classifier.weight"].shape[1]
    if plain.weight.shape[1] != dim:
        raise errors.UserError(
            f"{classifier_path}: reads features of length {plain.weight.shape[1]}, and those of {network_path} have {dim}"
        )
    names, metrics = metadata["classes"], json.loads(metrics_path.read_bytes())
    checksums = {"network": storage.sha256(network_path), "classifier": storage.sha256(classifier_path)}
    return {
        "layout": model.LAYOUT,
        "system": system,
        "names": names,
        "train_unseen": metadata.get("train_unseen", []),
        "colours": torch.from_numpy(colours.colours(len(names)).copy()),
        "side": network["side"],
        "classifier": dataclasses.asdict(classifier),
        "backbone": {"config": network["config"], "network": network["network"]},
        "figures": metrics["generalised"],
        "ingredients": ingredients,
        "provenance": {
            "name": classifier_path.stem,
            "split": metrics["split"],
            "exclude": metrics["exclude"],
            "config": metadata.get("config"),
            "sha256": checksums,
        },
    }
