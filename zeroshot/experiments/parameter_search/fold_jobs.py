"""The jobs of a cross-validation: each trains and scores one fold from files that contain nothing about unseen classes."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import torch

from zeroshot.base import checkpoints
from zeroshot.cache import graphs, index, rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import folds
from zeroshot.words import class_embeddings
from zeroshot.zs3net.classifiers import fine_tuning, self_training
from zeroshot.zs3net.fold_training import fold_models, self_training_folds
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import selection


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The inputs that all jobs share.

    Attributes:
        features: folder of the cache of training pixels.
        embeddings: file of class embeddings.
        start: checkpoint of the backbone's last layer.
        split: the split without its image lists, which no job reads.
        n_folds: maximal number of folds.
        held_out: number of seen classes held out in each fold.
        seed: seed of the folds.
        device: device for training.
    """

    features: pathlib.Path
    embeddings: pathlib.Path
    start: pathlib.Path
    split: splits.Split
    n_folds: int
    held_out: int
    seed: int
    device: str


@functools.cache
def draw_folds(inputs: Inputs) -> list[folds.Fold]:
    """Return the folds; they are the same for all settings."""
    keys = folds.Keys("--held-out or classifier.calibration.held_out", "choose parameters without `cross-validate`")
    return folds.draw(rows.presence(inputs.features), inputs.split, inputs.n_folds, inputs.held_out, inputs.seed, keys)


def clear_caches() -> None:
    """Forget what earlier jobs of this process read; files of the same names may have changed since."""
    for cached in (draw_folds, _start, _sample, _unlabelled_rows):
        cached.cache_clear()


def fit_generator(inputs: Inputs, number: int, options: registry.Params, out: pathlib.Path) -> None:
    """Train the generator of fold `number` and write its checkpoint to `out`."""
    fold = draw_folds(inputs)[number]
    sampled = _sample(inputs.features, options.pool_per_class, options.seed)
    vectors = torch.from_numpy(class_embeddings.read(inputs.embeddings).vectors)
    device = torch.device(inputs.device)
    image_graphs = graphs.read(inputs.features)
    generator = fold_models.fit_generator(fold, sampled, inputs.split.seen, vectors, options, device, image_graphs)
    checkpoints.save(out, registry.save_dict(generator))


def fit_classifier(
    inputs: Inputs, number: int, options: fine_tuning.Params, generator: pathlib.Path, out: pathlib.Path
) -> list[dict[str, float | None]]:
    """Train the classifier of fold `number` with a trained generator, write it to `out`, and return its metrics at each bias."""
    fold = draw_folds(inputs)[number]
    sampled = _sample(inputs.features, options.pool_per_class, options.seed)
    options = fine_tuning.with_steps(options, len(index.read(inputs.features, "rows").images))
    checkpoint = checkpoints.load(generator, registry.Checkpoint)
    trained_generator = registry.load_dict(checkpoint, torch.device(inputs.device))
    trained = fold_models.fit_classifier(
        fold, sampled, inputs.split.seen, _start(inputs.start), trained_generator, options
    )
    pixel_classifier.save(out, trained.models.classifier)
    return trained.metrics(options.calibration.biases)


def self_train(
    inputs: Inputs,
    number: int,
    generator: pathlib.Path,
    trained: pathlib.Path,
    biases: Sequence[float],
    seen_bias: float,
    labelling: selection.Params,
    options: self_training.Params,
) -> list[dict[str, float | None]]:
    """Self-train the classifier of fold `number` and return its metrics at each bias.

    Args:
        inputs: the inputs that all jobs share.
        number: number of the fold.
        generator: checkpoint that `fit_generator` wrote.
        trained: checkpoint that `fit_classifier` wrote; this classifier gives the pseudo-labels.
        biases: seen biases at which to score.
        seen_bias: seen bias for the pseudo-labels.
        labelling: options of the pseudo-labels.
        options: options of self-training.
    """
    device = torch.device(inputs.device)
    models = fold_models.FoldModels(
        draw_folds(inputs)[number],
        registry.load_dict(checkpoints.load(generator, registry.Checkpoint), device),
        pixel_classifier.load(trained)[0].to(device),
    )
    sampled = _sample(inputs.features, options.pool_per_class, options.seed)
    self_trained = self_training_folds.train_again(
        models, _unlabelled_rows(inputs, number), sampled, seen_bias, labelling, options
    )
    return self_trained.metrics(biases)


@functools.cache
def _start(path: pathlib.Path) -> pixel_classifier.PixelClassifier:
    return pixel_classifier.load(path)[0]


@functools.lru_cache(maxsize=2)
def _sample(folder: pathlib.Path, per_class: int, seed: int) -> rows.Rows:
    return rows.sample(folder, per_class, seed)


@functools.lru_cache(maxsize=1)
def _unlabelled_rows(inputs: Inputs, number: int) -> rows.Rows:
    return self_training_folds.hidden_rows(inputs.features, draw_folds(inputs)[number].unlabelled)
