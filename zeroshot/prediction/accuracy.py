"""Accuracy of a last layer on features of its classes, and what old classes lose to new ones."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import torch

from zeroshot.cache import pools
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net import feature_source

# Synthetic features of an unseen class on which its accuracy is measured.
_N_SYNTHETIC = 500
# Points of accuracy above which the loss of an old class is reported.
_LARGE_LOSS = 10.0


@dataclasses.dataclass(frozen=True)
class Loss:
    """What an old class loses to new classes.

    Attributes:
        old: its name.
        points: of its features, the share that the old model labels right less that of the new model, in points of per cent.
        new: the new class that gets most of its features.
        cosine: of the vectors of these two classes; 0 if one of them is zero.
    """

    old: str
    points: float
    new: str
    cosine: float


@torch.inference_mode()
def features(labels: Sequence[int], real: pools.Pool, source: feature_source.FeatureSource) -> dict[int, torch.Tensor]:
    """Return the features (n, d) float32 of each label id on which accuracy is measured: real ones if there are, else synthetic ones."""
    random = torch.Generator().manual_seed(0)
    chosen = {label: pools.of_class(real, label) for label in sorted(labels)}
    return {
        label: rows if len(rows) else source.sample(torch.full((_N_SYNTHETIC,), label), random)
        for label, rows in chosen.items()
    }


def shares(
    classifier: pixel_classifier.PixelClassifier, features: Mapping[int, torch.Tensor], names: Sequence[str]
) -> dict[str, float]:
    """Return for each class of the classifier the share of its features that get its label, in per cent, in label order."""
    labels: list[int] = sorted(classifier.labels.tolist())
    return {
        names[label]: 100.0 * (_predicted(classifier, features[label]) == label).double().mean().item()
        for label in labels
    }


def losses(
    old: pixel_classifier.PixelClassifier,
    trained: pixel_classifier.PixelClassifier,
    features: Mapping[int, torch.Tensor],
    names: Sequence[str],
    vectors: torch.Tensor,
) -> Iterator[Loss]:
    """Yield the losses of old classes above `_LARGE_LOSS` points, in label order.

    Args:
        old: the classifier before.
        trained: the same rows and those of the new classes.
        features: (n, d) of each label id.
        names: of all classes in label order.
        vectors: (C, d_a), the vectors of all classes in label order.
    """
    before, after = shares(old, features, names), shares(trained, features, names)
    old_labels: list[int] = sorted(old.labels.tolist())
    for label in old_labels:
        name = names[label]
        points = before[name] - after[name]
        if points > _LARGE_LOSS:
            counts = torch.bincount(_predicted(trained, features[label]), minlength=len(names))
            # The rows of old classes are as they were, so only new classes take features from one.
            counts[old_labels] = 0
            new = int(counts.argmax())
            yield Loss(name, points, names[new], torch.cosine_similarity(vectors[label], vectors[new], dim=0).item())


@torch.inference_mode()
def _predicted(classifier: pixel_classifier.PixelClassifier, features: torch.Tensor) -> torch.Tensor:
    """Return the label ids (n,) int64 of features (n, d)."""
    return classifier.labels[classifier.logits(features).argmax(1)]
