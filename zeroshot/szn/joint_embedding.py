"""FCN-JE: the embedding head and the vectors of all classes as one classifier of pixel features (Doshi 2018, "joint embeddings")."""

from collections.abc import Sequence

import torch

from zeroshot.datasets import splits
from zeroshot.networks import semantic_head
from zeroshot.pixel_classifiers import compatibility, masked_classifier, pixel_classifier


def classifier(
    weight: torch.Tensor, bias: torch.Tensor, vectors: torch.Tensor, split: splits.Split
) -> pixel_classifier.PixelClassifier:
    """Return the classifier that gives a pixel the class whose vector has the largest cosine with the pixel's embedding.

    The length of an embedding is the same for all classes, so the largest cosine is the largest product with vectors of length 1.
    Candidates are compared as they are: excluding one cannot make it win with a similarity of 0 (trap T4 of the original).

    Args:
        weight: (j, d, 1, 1) float32 of the embedding head, a 1x1 convolution.
        bias: (j,) float32.
        vectors: (C, j) float32 of all classes in label order, as the network was trained on, of any length.
        split: gives the roles of the classes.
    """
    return of_labels(weight, bias, vectors, split.seen, split.unseen)


def of_labels(
    weight: torch.Tensor, bias: torch.Tensor, vectors: torch.Tensor, seen: Sequence[int], unseen: Sequence[int]
) -> pixel_classifier.PixelClassifier:
    """Return the rows of `classifier` of some seen and some unseen label ids, in this order; the other arguments are those of it."""
    directions = semantic_head.directions(vectors)
    if directions.shape[1] > weight.shape[0]:
        # A zero vector has a dimension of its own. A network that was trained without that class has no output for it.
        weight = torch.cat([weight, torch.zeros_like(weight[:1])])
        bias = torch.cat([bias, torch.zeros_like(bias[:1])])
    return compatibility.classifier(weight.float()[:, :, 0, 0], bias.float(), directions, seen, unseen)


def with_mask(
    joint: pixel_classifier.PixelClassifier,
    split: splits.Split,
    candidates_include_train_unseen: bool,
    mask_weight: torch.Tensor | None = None,
    mask_bias: torch.Tensor | None = None,
) -> masked_classifier.MaskedClassifier:
    """Return FCN-JE with a seen mask: SZN.

    The seen side has the classes that the network was trained on. The unseen side has the unseen classes.

    Args:
        joint: from `classifier`.
        split: gives the roles of the classes.
        candidates_include_train_unseen: the unseen side has the `train_unseen` classes too, as in the original. Otherwise they can
            never be predicted.
        mask_weight: (d,) float32; None for a mask that is not used, because the true one is (SZN-PS).
        mask_bias: () float32.
    """
    kept = [*split.train_seen, *(split.train_unseen if candidates_include_train_unseen else ()), *split.unseen]
    candidates = joint.of(kept)
    trained = torch.isin(candidates.labels, torch.tensor(split.train_seen, device=joint.device))
    if mask_weight is None or mask_bias is None:
        mask_weight, mask_bias = torch.zeros_like(joint.weight[0]), torch.zeros_like(joint.bias[0])
    return masked_classifier.MaskedClassifier(candidates, ~trained, mask_weight, mask_bias)
