"""Self-training: the last layer learns anew from real, pseudo-labelled and synthetic features (ZS5Net, paper section 2.2)."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated

import pydantic

from zeroshot.base import params
from zeroshot.cache import pools
from zeroshot.zs3net import feature_source, pixel_classifier
from zeroshot.zs3net.classifiers import batches, last_layer


@params.section
class Params:
    """The section `self_training`; see params.yaml."""

    rounds: params.Count
    trained_rows: last_layer.TrainedRows
    class_balance: params.Fraction
    pseudo_ratio: params.Positive
    synthetic_ratio: params.NonNegative
    epochs: params.Count
    steps_per_epoch: params.Count
    lr: params.Positive
    biases: tuple[params.Float, ...]
    seed: params.Seed
    pool_per_class: params.Count
    batch_size: Annotated[int, pydantic.Field(ge=3)]
    weight_decay: params.NonNegative


def fit(
    start: pixel_classifier.PixelClassifier,
    real: pools.Pool,
    pseudo: pools.Pool,
    source: feature_source.FeatureSource,
    unseen: Sequence[int],
    options: Params,
) -> Iterator[tuple[dict[str, float], pixel_classifier.PixelClassifier]]:
    """Train a classifier on from `start` with cross-entropy.

    The pseudo-labels already include a seen bias of `start`, so it is not applied again: a classifier that learns unseen classes from
    them has none.

    How often classes are drawn, an average seen class of `real` counting 1: a class with pseudo-labels `pseudo_ratio` times by its
    pseudo-labelled features, and, if it is unseen, `synthetic_ratio` times by synthetic ones; an unseen class without pseudo-labels
    pseudo_ratio + synthetic_ratio times by synthetic ones.

    Args:
        start: over seen and unseen classes (ZS3Net, or the classifier of the round before).
        real: features of the seen classes.
        pseudo: pseudo-labelled features, of unseen classes and perhaps of seen ones too; may be empty.
        source: gives the synthetic features of the unseen classes, and the device to train on.
        unseen: their label ids.
        options: seen classes of `real` are drawn with probability proportional to real.sizes ** class_balance.

    Yields:
        after each epoch {epoch, loss} and the classifier so far, without a seen bias, or, if no pseudo-label is of an unseen class,
        with that of `start`.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    labelled = set(pseudo.labels.tolist())
    synthetic = {
        label: options.synthetic_ratio + (0.0 if label in labelled else options.pseudo_ratio) for label in unseen
    }
    weights = [len(real.labels), options.pseudo_ratio * len(labelled), sum(synthetic.values())]
    n_real, n_pseudo, n_synthetic = batches.sizes(weights, options.batch_size)
    parts = [batches.of_pool(real, real.sizes**options.class_balance, n_real)]
    if n_pseudo:
        parts.append(batches.of_pool(pseudo, pseudo.sizes**0, n_pseudo))
    if n_synthetic:
        parts.append(batches.of_source(source, synthetic, n_synthetic))
    if labelled & set(unseen):
        start = dataclasses.replace(start, seen_bias=0.0)
    yield from last_layer.train(start.to(source.device), parts, options, "self_training")
