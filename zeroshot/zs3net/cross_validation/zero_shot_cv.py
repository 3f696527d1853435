"""Zero-shot cross-validation over seen classes: rehearse the task with classes whose truth may be read (paper section 3.1)."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from zeroshot.base import checkpoints, parallel
from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import pools, rows
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.cross_validation import calibration, folds, rehearsal
from zeroshot.zs3net.generators import generator as feature_generator
from zeroshot.zs3net.generators import neighbourhoods, registry


def rehearse(
    fold: folds.Fold,
    sampled: rows.Rows,
    start: pixel_classifier.PixelClassifier,
    embeddings: torch.Tensor,
    gmmn_options: registry.Params,
    options: fine_tuning.Params,
    device: torch.device,
    graphs: shard_graphs.Graphs | None = None,
) -> tuple[rehearsal.Rehearsal, list[dict[str, float | None]]]:
    """Train generator and classifier without some seen classes and score them on images that they did not learn from.

    The backbone is not trained again, so its features know the held-out classes better than really unseen ones; the more so with
    `backbone.semantic.vectors`, which tied them to the very vectors of these classes.

    Args:
        fold: the classes and images.
        sampled: real features of seen classes, sorted by class, with their weights and images.
        start: the backbone's last layer over the seen classes.
        embeddings: (C, d_a) float32 of all classes.
        gmmn_options: how the generator is trained.
        options: how the classifier is trained, and the biases to try.
        device: where to train.
        graphs: component graphs of the images that the rows come from; an image that shows a held-out class is not used.

    Returns:
        what was trained, and its {seen, unseen, hIoU} at each bias.
    """
    generator = fit_generator(fold, sampled, start, embeddings, gmmn_options, device, graphs)
    trained = fit_classifier(fold, sampled, start, generator, options)
    return rehearsal.Rehearsal(fold, generator, trained), score(fold, trained, sampled, options.calibration.biases)


def rehearse_all(
    drawn: Sequence[folds.Fold],
    arguments: tuple[Any, ...],
    device: torch.device,
    workers: int,
    graphs: shard_graphs.Graphs | None = None,
) -> Iterator[tuple[int, rehearsal.Rehearsal, list[dict[str, float | None]]]]:
    """Rehearse several folds, `workers` at a time; more than one is each a process of its own.

    Args:
        drawn: the folds.
        arguments: of `rehearse`, between the fold and the device.
        device: where to train.
        workers: changes the speed, never a result.
        graphs: as in `rehearse`.

    Yields:
        the number of the fold and what `rehearse` returns, in the order in which folds finish.
    """
    with tempfile.TemporaryDirectory() as scratch, parallel.processes(workers) as run:
        files = [pathlib.Path(scratch) / f"{number}.pt" for number in range(len(drawn))]
        jobs = [(file, fold, *arguments, device, graphs) for file, fold in zip(files, drawn, strict=True)]
        for number, figures in run(_rehearse_into, jobs):
            (done,) = rehearsal.load_dict(checkpoints.load(files[number]), device)
            yield number, done, figures


def _rehearse_into(out: pathlib.Path, *arguments: Any) -> list[dict[str, float | None]]:
    """Rehearse one fold, leave what was trained in a file, and return the figures."""
    done, figures = rehearse(*arguments)
    checkpoints.save(out, rehearsal.save_dict([done]))
    return figures


def fit_generator(
    fold: folds.Fold,
    sampled: rows.Rows,
    start: pixel_classifier.PixelClassifier,
    embeddings: torch.Tensor,
    options: registry.Params,
    device: torch.device,
    graphs: shard_graphs.Graphs | None = None,
) -> feature_generator.Generator:
    """Train a generator on what the fold may learn from; the arguments are those of `rehearse`."""
    generator = registry.build(options, embeddings, sampled["features"].shape[1], device)
    labels = kept(fold, start)
    for _ in generator.fit(_pool(fold, sampled, labels), _context(fold, sampled, labels, graphs, options)):
        pass
    return generator


def fit_classifier(
    fold: folds.Fold,
    sampled: rows.Rows,
    start: pixel_classifier.PixelClassifier,
    generator: feature_generator.Generator,
    options: fine_tuning.Params,
) -> pixel_classifier.PixelClassifier:
    """Train a classifier with the fold's generator; the arguments are those of `rehearse`."""
    labels = kept(fold, start)
    real = _pool(fold, sampled, labels)
    *_, (_, trained) = fine_tuning.fit(restrict(start, labels), real, generator, fold.held_out, options)
    return trained


def score(
    fold: folds.Fold, trained: pixel_classifier.PixelClassifier, sampled: rows.Rows, biases: Sequence[float]
) -> list[dict[str, float | None]]:
    """Return {seen, unseen, hIoU} at each bias on the fold's evaluation images, estimated for all training images."""
    scored = folds.evaluation_rows(fold, sampled, trained.labels.tolist())
    return calibration.figures_by_bias(trained, scored, biases)


def kept(fold: folds.Fold, start: pixel_classifier.PixelClassifier) -> list[int]:
    """Return the label ids of `start` that stay seen."""
    return [label for label in start.labels.tolist() if label not in fold.held_out]


def restrict(start: pixel_classifier.PixelClassifier, labels: Sequence[int]) -> pixel_classifier.PixelClassifier:
    """Return the rows of `start` that belong to `labels`."""
    keep = torch.isin(start.labels, torch.tensor(labels))
    return dataclasses.replace(
        start,
        weight=start.weight[keep],
        bias=start.bias[keep],
        labels=start.labels[keep],
        unseen=start.unseen[keep],
    )


def _context(
    fold: folds.Fold,
    sampled: rows.Rows,
    labels: Sequence[int],
    graphs: shard_graphs.Graphs | None,
    options: registry.Params,
) -> neighbourhoods.OfRows | None:
    """Return the neighbourhoods of the rows of `_pool`, and with true masks also where held-out classes stand in unlabelled images."""
    found = neighbourhoods.of_rows(graphs, folds.training_rows(fold, sampled, labels), labels)
    if found and options.graph.context == "true_masks":
        most, seed = options.graph.contexts_per_class, options.seed
        unseen = neighbourhoods.of_classes(graphs, fold.held_out, most, seed, fold.unlabelled)
        found = dataclasses.replace(found, unseen=unseen)
    return found


def _pool(fold: folds.Fold, sampled: rows.Rows, labels: Sequence[int]) -> pools.Pool:
    return pools.select(folds.training_rows(fold, sampled, labels), labels)
