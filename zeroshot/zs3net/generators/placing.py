"""Prediction of the context of a class from its embedding and the contexts of other classes (paper section 2.2, graph context)."""

import torch
from torch import nn

from zeroshot.images import label_ids
from zeroshot.zs3net.generators import scenes

# Weight of the penalty of the ridge regression in `near`, relative to the mean squared length of a centred embedding. For held-out
# seen classes of generated scenes (toy.seed 2 with context), values from 0.01 to 0.3 are equally good.
_RIDGE = 0.03


def near(embeddings: torch.Tensor, label: int, candidates: torch.Tensor, around: torch.Tensor, count: int) -> list[int]:
    """Return `label` alone if it is a candidate, otherwise the `count` candidates whose context is most like its predicted context.

    Classes with similar embeddings may have different contexts: a red and a blue object with one pattern may be in different places.
    So ridge regression predicts surroundings from embeddings, and is fitted to the candidates. The nearest candidates are those
    whose surroundings have the largest cosine with the prediction, both relative to the mean over candidates. The background, whose
    surroundings differ from those of all objects, is excluded unless it is the only candidate.

    Args:
        embeddings: (C, d_a) of all classes.
        label: a label id.
        candidates: (k,) label ids, ascending.
        around: (k, d_a), the mean surroundings of each candidate.
        count: the largest number of candidates to return.
    """
    if label in candidates.tolist():
        return [label]
    objects = candidates != label_ids.BACKGROUND
    if objects.any():
        candidates, around = candidates[objects], around[objects]
    centre = embeddings[candidates].double().mean(0)
    centred = embeddings[candidates].double() - centre  # (k, d_a)
    deviations = around.double() - around.double().mean(0)  # (k, d_a)
    gram = centred @ centred.T  # (k, k)
    ridge = _RIDGE * gram.diagonal().mean().clamp(min=1e-12) * torch.eye(len(gram), dtype=gram.dtype)
    predicted = (
        (embeddings[label].double() - centre) @ centred.T @ torch.linalg.solve(gram + ridge, deviations)
    )  # (d_a,)
    cosines = nn.functional.cosine_similarity(deviations, predicted[None], dim=1)
    return candidates[cosines.topk(min(count, len(candidates))).indices].tolist()


def by_class(places: scenes.Places, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the classes (k,) of the components of `places`, ascending, and the mean `surroundings` (k, d_a) of each."""
    labels, owner, counts = places.root_labels.unique(return_inverse=True, return_counts=True)
    total = embeddings.new_zeros(len(labels), embeddings.shape[1])
    return labels, total.index_add(0, owner, surroundings(places, embeddings)) / counts[:, None]


def surroundings(places: scenes.Places, embeddings: torch.Tensor) -> torch.Tensor:
    """Return the mean class embedding (k, d_a) of the neighbours of each place's component, zeros for one without neighbours."""
    nodes, owner = places.roots.unique(return_inverse=True)
    index = torch.full((len(places.labels),), -1).scatter(0, nodes, torch.arange(len(nodes)))
    touching = places.edges[:, index[places.edges[1]] >= 0]  # from neighbours to components
    pairs = torch.stack([index[touching[1]], places.labels[touching[0]]])
    counts = torch.zeros(len(nodes), len(embeddings)).index_put_(tuple(pairs), torch.ones(1), accumulate=True)
    shares = (counts / counts.sum(1, keepdim=True).clamp(min=1)).to(embeddings)
    return (shares @ embeddings)[owner]
