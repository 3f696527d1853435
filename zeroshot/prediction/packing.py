"""Making a model file from the files of the pipeline."""

import dataclasses
import json
import pathlib
from typing import Any

import torch

from zeroshot.base import checkpoints, errors
from zeroshot.cache import pools, rows
from zeroshot.figures import colours
from zeroshot.networks import backbone
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import model
from zeroshot.zs3net.generators import registry

# Real features of a seen class in a model file, to train new classes against.
POOL_PER_CLASS = 1000
_SEED = 0


def ingredients(
    gmmn_path: pathlib.Path, features_dir: pathlib.Path, recipe: pixel_classifier.Provenance, embeddings: dict[str, Any]
) -> model.Ingredients:
    """Return what new classes are learnt from.

    Args:
        gmmn_path: the generator.
        features_dir: cache of training pixels.
        recipe: ZS3Net's classifier and its metadata.
        embeddings: the section `embeddings`.
    """
    classifier, metadata = recipe
    checkpoint = checkpoints.load(gmmn_path, registry.Checkpoint)
    seen = classifier.labels[~classifier.unseen].tolist()
    pool = pools.select(rows.sample(features_dir, POOL_PER_CLASS, _SEED), sorted(seen))
    return {
        "generator": {key: checkpoint[key] for key in ("config", "feature_dim", "embeddings", "network")},
        "pool": {field.name: getattr(pool, field.name) for field in dataclasses.fields(pool)},
        "classifier": metadata["config"],
        "embeddings": embeddings,
        "seen_bias": classifier.seen_bias,
    }


def pack(
    backbone_path: pathlib.Path,
    classifier_path: pathlib.Path,
    metrics_path: pathlib.Path,
    ingredients: model.Ingredients | None,
) -> dict[str, Any]:
    """Return the entries of a model file.

    Args:
        backbone_path: the trained network.
        classifier_path: its last layer.
        metrics_path: the metrics of the last layer.
        ingredients: what new classes are learnt from, or None.

    Raises:
        errors.UserError: if a file cannot be used, or the last layer is not one of this network.
    """
    network = checkpoints.load(backbone_path, backbone.Checkpoint)
    classifier, metadata = pixel_classifier.load(classifier_path)
    dim = network["network"]["classifier.weight"].shape[1]
    if classifier.weight.shape[1] != dim:
        raise errors.UserError(
            f"{classifier_path}: reads features of length {classifier.weight.shape[1]}, and those of {backbone_path} have {dim}"
        )
    names = metadata["classes"]
    return {
        "names": names,
        "colours": torch.from_numpy(colours.colours(len(names)).copy()),
        "side": network["side"],
        "classifier": dataclasses.asdict(classifier),
        "backbone": {"config": network["config"], "network": network["network"]},
        "figures": json.loads(metrics_path.read_bytes())["generalised"],
        "ingredients": ingredients,
    }
