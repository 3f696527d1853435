"""Fine-tuning of the last layer on real seen and synthetic unseen features (paper section 2.2, step 2)."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import pydantic
import torch

from zeroshot.base import params
from zeroshot.cache import pools
from zeroshot.images import label_ids
from zeroshot.pixel_classifiers import pixel_classifier, side_window
from zeroshot.pixel_classifiers.cross_validation import calibration
from zeroshot.zs3net import feature_source
from zeroshot.zs3net.classifiers import batches, last_layer

# Images in a batch of the released code. Each of its steps trains on the pixels of so many images.
_RELEASED_BATCH = 8


@params.section
class Params:
    """The section `classifier`; see params.yaml."""

    trained_rows: last_layer.TrainedRows
    class_balance: params.Fraction
    synthetic_ratio: params.Positive
    synthetic_unit: Literal["seen_class", "seen_object"]
    unseen_weight: params.Positive
    among_unseen: params.NonNegative
    epochs: params.Count
    steps_per_epoch: params.Count | None
    lr: params.Positive
    seed: params.Seed
    calibration: calibration.Params
    side_window: side_window.Window
    init: Literal["backbone", "uniform"]
    distillation: params.NonNegative
    pool_per_class: params.Count
    batch_size: Annotated[int, pydantic.Field(ge=2)]
    optimizer: last_layer.Optimizer
    weight_decay: params.NonNegative


def with_steps(options: Params, n_images: int) -> Params:
    """Return the options with the number of steps of an epoch: as given, or one for every 8 of `n_images` training images."""
    if options.steps_per_epoch is not None:
        return options
    return dataclasses.replace(options, steps_per_epoch=max(1, round(n_images / _RELEASED_BATCH)))


def fit(
    start: pixel_classifier.PixelClassifier,
    real: pools.Pool,
    source: feature_source.FeatureSource,
    unseen: Sequence[int],
    options: Params,
) -> Iterator[tuple[dict[str, float], pixel_classifier.PixelClassifier]]:
    """Train a classifier of seen and unseen classes with cross-entropy.

    Args:
        start: the backbone's last layer. It gives the initial rows of the classes that the network learnt, unless `init` is `uniform`.
        real: features of the seen classes. A class that `start` does not have, of `data.train_unseen`, gets a row that always learns.
        source: gives new features of the unseen classes at every step, and the device to train on.
        unseen: label ids without real features.
        options: with a number of steps (`with_steps`). Seen classes are sampled in proportion to real.sizes ** class_balance (0:
            uniformly, 1: as often as in the images). An unseen class is sampled `synthetic_ratio` times as often as an average seen
            class, which includes the background if `synthetic_unit` is `seen_class` and does not if it is `seen_object`.

    Yields:
        after each epoch {epoch, loss} and the classifier so far.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    odds = real.sizes**options.class_balance
    weights = [len(real.labels), options.synthetic_ratio * unit(real.labels, odds, options) * len(unseen)]
    n_real, n_synthetic = batches.sizes(weights, options.batch_size, "classifier")
    parts = [batches.of_pool(real, odds, n_real)]
    if n_synthetic:
        parts.append(batches.of_source(source, dict.fromkeys(unseen, 1.0), n_synthetic))
    seen_classifier = start.to(source.device)
    untaught = [label for label in real.labels.tolist() if label not in start.labels.tolist()]
    model = _initial(seen_classifier, untaught, unseen, options)
    yield from last_layer.train(
        model,
        parts,
        options,
        "classifier",
        optimizer_name=options.optimizer,
        unseen_weight=options.unseen_weight,
        teacher=seen_classifier,
        distillation=options.distillation,
        among_unseen=options.among_unseen,
        frozen=_learnt(model, seen_classifier) & (options.trained_rows == "unseen"),
    )


def unit(labels: torch.Tensor, odds: torch.Tensor, options: Params) -> float:
    """Return how often an average seen class, or an average seen object class, is sampled, in units of an average seen class."""
    objects = labels != label_ids.BACKGROUND
    if options.synthetic_unit == "seen_class" or not objects.any():
        return 1.0
    return (odds[objects].mean() / odds.mean()).item()


def _initial(
    start: pixel_classifier.PixelClassifier, untaught: Sequence[int], unseen: Sequence[int], options: Params
) -> pixel_classifier.PixelClassifier:
    """Return `start` with a row for each further seen and unseen class: zeros, or with `init: uniform` U[0, 1) in all trained rows."""
    model = last_layer.extend(last_layer.extend(start, untaught, unseen=False), unseen)
    model = dataclasses.replace(model, side_window=options.side_window)
    if options.init == "uniform":
        random = torch.Generator().manual_seed(options.seed)
        trained = ~_learnt(model, start) if options.trained_rows == "unseen" else torch.ones_like(model.unseen)
        for rows in (model.weight, model.bias):
            rows[trained] = torch.rand(rows.shape, generator=random).to(rows.device)[trained]
    return model


def _learnt(model: pixel_classifier.PixelClassifier, start: pixel_classifier.PixelClassifier) -> torch.Tensor:
    """Return which rows (n,) bool of a model are of classes of `start`."""
    return torch.isin(model.labels, start.labels)
