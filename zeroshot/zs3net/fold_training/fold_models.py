"""ZS3Net in one fold of cross-validation: generator and classifier trained without the held-out classes, and how they are stored."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
import typing_extensions

from zeroshot.base import checkpoints
from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import pools, rows
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration, folds
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.generators import generator as feature_generator
from zeroshot.zs3net.generators import registry, scenes

_ROLES = ("train", "unlabelled", "evaluation")


@dataclasses.dataclass(frozen=True)
class FoldModels:
    """The models of a fold.

    Attributes:
        fold: its classes and images.
        generator: trained on the classes that remain seen.
        classifier: of the seen and the held-out classes, without a seen bias.
    """

    fold: folds.Fold
    generator: feature_generator.Generator
    classifier: pixel_classifier.PixelClassifier

    @property
    def name(self) -> str:
        """The name of the fold."""
        return self.fold.name


class _FoldEntry(typing_extensions.TypedDict):
    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    name: str
    held_out: list[int]
    train: torch.Tensor
    unlabelled: torch.Tensor
    evaluation: torch.Tensor
    gmmn: registry.Checkpoint
    classifier: pixel_classifier.Entries


class Checkpoint(typing_extensions.TypedDict):
    """What `save_dict` returns."""

    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    folds: list[_FoldEntry]


def save_dict(trained: Sequence[FoldModels]) -> dict[str, Any]:
    """Return the models of all folds as plain values and tensors for a checkpoint."""
    return {
        "folds": [
            {
                "name": models.fold.name,
                "held_out": list(models.fold.held_out),
                **{role: torch.from_numpy(getattr(models.fold, role)) for role in _ROLES},
                "gmmn": registry.save_dict(models.generator),
                "classifier": dataclasses.asdict(models.classifier),
            }
            for models in trained
        ]
    }


def load_dict(checkpoint: dict[str, Any], device: torch.device) -> list[FoldModels]:
    """Rebuild the models of all folds from what `save_dict` returned."""
    trained = []
    for item in checkpoint["folds"]:
        roles = {role: item[role].numpy() for role in _ROLES}
        fold = folds.Fold(item["name"], tuple(item["held_out"]), **roles)
        classifier = pixel_classifier.PixelClassifier(**item["classifier"]).to(device)
        trained.append(FoldModels(fold, registry.load_dict(item["gmmn"], device), classifier))
    return trained


def train(
    fold: folds.Fold,
    *,
    sampled: rows.Rows,
    seen: Sequence[int],
    start: pixel_classifier.PixelClassifier,
    like: feature_generator.Generator,
    options: fine_tuning.Params,
    graphs: shard_graphs.Graphs | None = None,
) -> calibration.TrainedFold:
    """Train generator and classifier without the held-out classes of a fold.

    The backbone is not trained again, so its features represent held-out classes better than truly unseen ones. With
    `backbone.semantic.vectors` the difference is larger, since the backbone was trained with the vectors of the held-out classes.

    Args:
        fold: the classes and images.
        sampled: real features of seen classes, sorted by class, with their weights and images.
        seen: label ids of the seen classes.
        start: the backbone's last layer over those that it learnt.
        like: the generator of all seen classes. The fold trains a new one with its options and embeddings, on its device.
        options: how the classifier is trained.
        graphs: component graphs of the images that the rows come from; an image that shows a held-out class is not used.

    Returns:
        the classifier, rows of evaluation images to score it, and `FoldModels`.
    """
    generator = fit_generator(fold, sampled, seen, like.embeddings, like.options, like.device, graphs)
    return fit_classifier(fold, sampled, seen, start, generator, options)


def fit_generator(
    fold: folds.Fold,
    sampled: rows.Rows,
    seen: Sequence[int],
    embeddings: torch.Tensor,
    options: feature_generator.Options,
    device: torch.device,
    graphs: shard_graphs.Graphs | None = None,
) -> feature_generator.Generator:
    """Train a generator on the training images of a fold.

    The class embeddings are (C, d_a) float32, in label order; the other arguments are as in `train`.
    """
    generator = registry.build(options, embeddings, sampled["features"].shape[1], device)
    labels = fold.seen(seen)
    for _ in generator.fit(_pool(fold, sampled, labels), _context(fold, sampled, labels, graphs, generator)):
        pass
    return generator


def fit_classifier(
    fold: folds.Fold,
    sampled: rows.Rows,
    seen: Sequence[int],
    start: pixel_classifier.PixelClassifier,
    generator: feature_generator.Generator,
    options: fine_tuning.Params,
) -> calibration.TrainedFold:
    """Train a classifier with the generator of a fold; arguments and result are as in `train`."""
    labels = fold.seen(seen)
    real = _pool(fold, sampled, labels)
    *_, (_, classifier) = fine_tuning.fit(start.of(labels), real, generator, fold.held_out, options)
    scored = folds.evaluation_rows(fold, sampled, classifier.labels.tolist())
    return calibration.TrainedFold(classifier, scored, models=FoldModels(fold, generator, classifier))


def _context(
    fold: folds.Fold,
    sampled: rows.Rows,
    labels: Sequence[int],
    graphs: shard_graphs.Graphs | None,
    generator: feature_generator.Generator,
) -> scenes.RowPlaces | None:
    """Return the places of the rows of `_pool`; with true masks also those of held-out classes in unlabelled images."""
    context = scenes.of_rows(graphs, folds.training_rows(fold, sampled, labels), labels)
    if context and graphs and generator.provenance.get("graph_context") == "true_masks":
        most, seed = generator.section().contexts_per_class, generator.options.seed
        unseen = scenes.of_classes(graphs, fold.held_out, most, seed, fold.unlabelled)
        context = dataclasses.replace(context, unseen=unseen)
    return context


def _pool(fold: folds.Fold, sampled: rows.Rows, labels: Sequence[int]) -> pools.Pool:
    return pools.select(folds.training_rows(fold, sampled, labels), labels)
