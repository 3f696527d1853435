"""The jobs of a cross-validation: each trains or scores one fold, reading what it needs from files and nothing about unseen classes."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import torch

from zeroshot.base import checkpoints
from zeroshot.cache import graphs, rows
from zeroshot.datasets import splits
from zeroshot.words import class_embeddings
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.classifiers import fine_tuning, self_training
from zeroshot.zs3net.cross_validation import fold_models, folds, self_training_folds
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import selection


@dataclasses.dataclass(frozen=True)
class Bench:
    """What all jobs have in common.

    Attributes:
        features: the cache of training pixels.
        embeddings: the file of class embeddings.
        start: the checkpoint of the backbone's last layer.
        split: which classes are seen; without its images, which no job reads.
        n_folds: the most folds.
        held_out: seen classes held out in each.
        seed: of the folds.
        device: where to train.
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
def draw_folds(bench: Bench) -> list[folds.Fold]:
    """Return the folds, the same for all settings."""
    return folds.draw(rows.presence(bench.features), bench.split, bench.n_folds, bench.held_out, bench.seed)


def fit_generator(bench: Bench, number: int, options: registry.Params, out: pathlib.Path) -> None:
    """Train the generator of fold `number` and write its checkpoint."""
    fold = draw_folds(bench)[number]
    sampled = _sample(bench.features, options.pool_per_class, options.seed)
    vectors = torch.from_numpy(class_embeddings.read(bench.embeddings).vectors)
    device = torch.device(bench.device)
    of_images = graphs.read(bench.features)
    generator = fold_models.fit_generator(fold, sampled, _start(bench.start), vectors, options, device, of_images)
    checkpoints.save(out, registry.save_dict(generator))


def fit_classifier(
    bench: Bench, number: int, options: fine_tuning.Params, generator: pathlib.Path, out: pathlib.Path
) -> list[dict[str, float | None]]:
    """Train the classifier of fold `number` with a trained generator, write it, and return its metrics at each bias."""
    fold = draw_folds(bench)[number]
    sampled = _sample(bench.features, options.pool_per_class, options.seed)
    trained_generator = registry.load_dict(checkpoints.load(generator), torch.device(bench.device))
    trained = fold_models.fit_classifier(fold, sampled, _start(bench.start), trained_generator, options)
    pixel_classifier.save(out, trained.classifier)
    return trained.metrics(options.calibration.biases)


def self_train(
    bench: Bench,
    number: int,
    generator: pathlib.Path,
    trained: pathlib.Path,
    biases: Sequence[float],
    seen_bias: float,
    labelling: selection.Params,
    options: self_training.Params,
) -> list[dict[str, float | None]]:
    """Label the unlabelled images of fold `number` with `seen_bias` and what the other jobs trained, train again, and score."""
    device = torch.device(bench.device)
    models = fold_models.FoldModels(
        draw_folds(bench)[number],
        registry.load_dict(checkpoints.load(generator), device),
        pixel_classifier.load(trained)[0].to(device),
    )
    sampled = _sample(bench.features, options.pool_per_class, options.seed)
    again = self_training_folds.train_again(models, _hidden(bench, number), sampled, seen_bias, labelling, options)
    return again.metrics(biases)


@functools.cache
def _start(path: pathlib.Path) -> pixel_classifier.PixelClassifier:
    return pixel_classifier.load(path)[0]


@functools.lru_cache(maxsize=2)
def _sample(folder: pathlib.Path, per_class: int, seed: int) -> rows.Rows:
    return rows.sample(folder, per_class, seed)


@functools.lru_cache(maxsize=1)
def _hidden(bench: Bench, number: int) -> rows.Rows:
    return self_training_folds.hidden_rows(bench.features, draw_folds(bench)[number].unlabelled)
