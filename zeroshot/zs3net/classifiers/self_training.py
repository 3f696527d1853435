"""Self-training: the last layer is trained again on real, pseudo-labelled and synthetic features (ZS5Net, paper section 2.2)."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated

import pydantic

from zeroshot.base import params
from zeroshot.cache import pools
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net import feature_source
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
    """Train a copy of `start` further with cross-entropy.

    The pseudo-labels already include the seen bias of `start`, so it is not applied again: a classifier that learns unseen classes from
    pseudo-labels has no seen bias.

    How often classes are sampled, relative to an average seen class of `real`:

    * pseudo-labelled features of a class that has them: `pseudo_ratio`;
    * synthetic features of an unseen class with pseudo-labels: `synthetic_ratio`;
    * synthetic features of an unseen class without pseudo-labels: pseudo_ratio + synthetic_ratio.

    Args:
        start: classifier of seen and unseen classes (ZS3Net, or the classifier of the previous round).
        real: features of the seen classes.
        pseudo: pseudo-labelled features of unseen and possibly of seen classes; may be empty.
        source: gives synthetic features of the unseen classes, and the device to train on.
        unseen: label ids of the unseen classes.
        options: seen classes of `real` are sampled in proportion to real.sizes ** class_balance.

    Yields:
        after each epoch {epoch, loss} and the classifier so far. It has no seen bias if any pseudo-label is of an unseen class, and
        that of `start` otherwise.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    labelled = set(pseudo.labels.tolist())
    synthetic = {
        label: options.synthetic_ratio + (0.0 if label in labelled else options.pseudo_ratio) for label in unseen
    }
    weights = [len(real.labels), options.pseudo_ratio * len(labelled), sum(synthetic.values())]
    n_real, n_pseudo, n_synthetic = batches.sizes(weights, options.batch_size, "self_training")
    parts = [batches.of_pool(real, real.sizes**options.class_balance, n_real)]
    if n_pseudo:
        parts.append(batches.of_pool(pseudo, pseudo.sizes**0, n_pseudo))
    if n_synthetic:
        parts.append(batches.of_source(source, synthetic, n_synthetic))
    if labelled & set(unseen):
        start = dataclasses.replace(start, seen_bias=0.0)
    yield from last_layer.train(start.to(source.device), parts, options, "self_training")
