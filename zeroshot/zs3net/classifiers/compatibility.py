"""Compatibility of pixel features with class vectors, F(x, c) = a_c . (W x + b): losses for W and b, and the classifier they end as."""

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from zeroshot.images import label_ids
from zeroshot.zs3net import pixel_classifier


def cosine_loss(projected: torch.Tensor, classes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return one minus the cosine of each projected feature and its class: DeViSE (Frome et al., NIPS 2013) as the paper adapts it.

    Section 3.1: trained to maximise the cosine similarity of output and target embedding. Other classes play no part, where
    Frome et al. had a hinge over them.

    Args:
        projected: (n, d_a) float32, W x + b.
        classes: (c, d_a) float32 directions of the classes to learn from.
        target: (n,) int64, the row of `classes` of each feature.

    Returns:
        (n,) float32, between 0 and 2.
    """
    return 1 - functional.cosine_similarity(projected, classes[target], dim=1)


def ranking_loss(projected: torch.Tensor, classes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return ALE's weighted approximate ranking loss of each feature (Akata et al., TPAMI 2016, section 3.2); as `cosine_loss`.

    l(r) / r times the sum over classes of max(0, 1 + F(x, c) - F(x, y)), c other than y, where r counts the positive terms and
    l(r) = 1 + 1/2 + ... + 1/r. The sum is taken whole; with thousands of classes Akata et al. draw them until one is violated.
    """
    scores = projected @ classes.T
    own = functional.one_hot(target, len(classes)).bool()
    violations = (1 + scores - scores[own][:, None]).clamp(min=0).masked_fill(own, 0)
    ranks = (violations > 0).sum(dim=1)
    counts = torch.arange(1, len(classes) + 1, device=scores.device)
    weights = functional.pad((1 / counts).cumsum(0) / counts, (1, 0))
    return weights[ranks] * violations.sum(dim=1)


def softmax_loss(projected: torch.Tensor, classes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return SPNet's cross-entropy of softmax over F(x, c) (Xian et al., CVPR 2019, section 3.1); as `cosine_loss`."""
    return functional.cross_entropy(projected @ classes.T, target, reduction="none")


def classifier(
    weight: torch.Tensor, bias: torch.Tensor, vectors: torch.Tensor, seen: Sequence[int], unseen: Sequence[int]
) -> pixel_classifier.PixelClassifier:
    """Return the classifier that gives a pixel the class of largest a_c . (W x + b), a linear layer with rows a_c W.

    For unit vectors that is the class of largest cosine, since the length of W x + b is the same for all classes. On an upsampled map it
    is the class nearest to the upsampled W x + b, in keeping with the paper's network, which regresses embeddings and decides at
    full resolution; cosines taken at stride 4 and then upsampled would weigh neighbouring cells alike whatever their lengths.

    Args:
        weight: (d_a, d) float32, W.
        bias: (d_a,) float32, b.
        vectors: (C, d_a) float32 directions, in label order.
        seen: label ids of the first rows.
        unseen: label ids of the rows after them.
    """
    labels = torch.tensor([*seen, *unseen], dtype=torch.int64)
    chosen = vectors[labels.to(vectors.device)]
    return pixel_classifier.PixelClassifier(
        weight=chosen @ weight,
        bias=chosen @ bias,
        labels=labels.to(vectors.device),
        unseen=(torch.arange(len(labels)) >= len(seen)).to(vectors.device),
    )


def cosine_criterion(classes: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return `cosine_loss`, summed over pixels, for maps of outputs (b, d_a, h, w) and targets (b, h, w), rows of `classes` or 255."""

    def criterion(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        valid = target != label_ids.IGNORE_INDEX
        return cosine_loss(outputs.movedim(1, -1)[valid], classes, target[valid]).sum()

    return criterion
