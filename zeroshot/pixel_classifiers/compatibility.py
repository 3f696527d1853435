"""Compatibility of pixel features with class vectors, F(x, c) = a_c . (W x + b): losses for W and b, and the resulting classifier."""

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from zeroshot.images import label_ids
from zeroshot.pixel_classifiers import pixel_classifier


def cosine_loss(projected: torch.Tensor, classes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return one minus the cosine of each projected feature and its class: DeViSE (Frome et al., NIPS 2013) as the paper adapts it.

    Section 3.1: training maximises the cosine similarity of output and target embedding. The loss does not involve other classes;
    Frome et al. have a hinge loss over them.

    Args:
        projected: (n, d_a) float32, W x + b.
        classes: (c, d_a) float32 unit vectors of the classes to learn from.
        target: (n,) int64, the row of `classes` of each feature.

    Returns:
        (n,) float32, between 0 and 2.
    """
    return 1 - functional.cosine_similarity(projected, classes[target], dim=1)


def ranking_loss(projected: torch.Tensor, classes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return ALE's weighted approximate ranking loss of each feature (Akata et al., TPAMI 2016, section 3.2).

    The loss is l(r) / r times the sum over classes c other than y of max(0, 1 + F(x, c) - F(x, y)), where r is the number of positive terms
    and l(r) = 1 + 1/2 + ... + 1/r. All classes are in the sum; Akata et al., with thousands of classes, sample them until one is violated.
    Arguments and result are those of `cosine_loss`.
    """
    scores = projected @ classes.T
    is_target = functional.one_hot(target, len(classes)).bool()
    violations = (1 + scores - scores[is_target][:, None]).clamp(min=0).masked_fill(is_target, 0)
    ranks = (violations > 0).sum(dim=1)
    counts = torch.arange(1, len(classes) + 1, device=scores.device)
    weights = functional.pad((1 / counts).cumsum(0) / counts, (1, 0))
    return weights[ranks] * violations.sum(dim=1)


def softmax_loss(projected: torch.Tensor, classes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return SPNet's cross-entropy of softmax over F(x, c) (Xian et al., CVPR 2019, section 3.1); arguments as in `cosine_loss`."""
    return functional.cross_entropy(projected @ classes.T, target, reduction="none")


def classifier(
    weight: torch.Tensor, bias: torch.Tensor, vectors: torch.Tensor, seen: Sequence[int], unseen: Sequence[int]
) -> pixel_classifier.PixelClassifier:
    """Return the linear classifier with logits a_c . (W x + b), whose weights are the rows a_c W.

    For unit vectors the largest logit is the largest cosine, since the length of W x + b is the same for all classes. On upsampled
    logits it is the class nearest to the upsampled W x + b. This agrees with the paper's network, which regresses embeddings and decides at
    full resolution. Upsampled cosines would differ: they give neighbouring cells the same weight whatever the length of W x + b.

    Args:
        weight: (d_a, d) float32, W.
        bias: (d_a,) float32, b.
        vectors: (C, d_a) float32 unit vectors, in label order.
        seen: label ids of the first rows.
        unseen: label ids of the rows after them.
    """
    labels = torch.tensor([*seen, *unseen], dtype=torch.int64)
    class_vectors = vectors[labels.to(vectors.device)]
    return pixel_classifier.PixelClassifier(
        weight=class_vectors @ weight,
        bias=class_vectors @ bias,
        labels=labels.to(vectors.device),
        unseen=(torch.arange(len(labels)) >= len(seen)).to(vectors.device),
    )


def cosine_criterion(classes: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return a criterion of maps: `cosine_loss` summed over pixels.

    Its arguments are outputs (b, d_a, h, w) and targets (b, h, w), which are rows of `classes` or
    `label_ids.IGNORE_INDEX`.
    """

    def criterion(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        valid = target != label_ids.IGNORE_INDEX
        return cosine_loss(outputs.movedim(1, -1)[valid], classes, target[valid]).sum()

    return criterion
