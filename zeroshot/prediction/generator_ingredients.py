"""What models of zs3net learn new classes from: their generator, and real features of seen classes."""

import dataclasses
import pathlib
from typing import Any

from zeroshot.base import checkpoints
from zeroshot.cache import pools, rows
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import model
from zeroshot.zs3net.generators import registry

# Real features of a seen class in a model file, to train new classes against.
POOL_PER_CLASS = 1000
_SEED = 0


def read(
    gmmn_path: pathlib.Path, features_dir: pathlib.Path, recipe: pixel_classifier.Provenance, embeddings: dict[str, Any]
) -> model.GeneratorIngredients:
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
