"""Where a class may be expected to stand, by its embedding and by what lies around other classes (paper section 2.2, graph context)."""

import torch
from torch import nn

from zeroshot.images import label_ids
from zeroshot.zs3net.generators import neighbourhoods

# Of the regression in `near`, times the mean squared length of a centred embedding. Left-out seen classes of generated scenes
# (toy.seed 2 with context) are given equally good places from 0.01 to 0.3.
_RIDGE = 0.03


def near(embeddings: torch.Tensor, label: int, candidates: torch.Tensor, around: torch.Tensor, count: int) -> list[int]:
    """Return `label` alone if it is a candidate, else the `count` candidates that stand most nearly where it may be expected to.

    Classes of like embeddings need not stand in like places: of a red and a blue thing with one pattern each may lie elsewhere.
    So ridge regression learns from the candidates what lies around a class of an embedding; those with the largest cosine with
    its answer, both less the mean over candidates, are nearest. The background, whose surroundings are like no object's, is left out
    unless it is the only candidate.

    Args:
        embeddings: (C, d_a) of all classes.
        label: a label id.
        candidates: (k,) label ids, ascending.
        around: (k, d_a), the mean surroundings of each candidate.
        count: the most to return.
    """
    if label in candidates.tolist():
        return [label]
    objects = candidates != label_ids.BACKGROUND
    if objects.any():
        candidates, around = candidates[objects], around[objects]
    centre = embeddings[candidates].double().mean(0)
    known = embeddings[candidates].double() - centre  # (k, d_a)
    rest = around.double() - around.double().mean(0)  # (k, d_a)
    gram = known @ known.T  # (k, k)
    ridge = _RIDGE * gram.diagonal().mean().clamp(min=1e-12) * torch.eye(len(gram), dtype=gram.dtype)
    expected = (embeddings[label].double() - centre) @ known.T @ torch.linalg.solve(gram + ridge, rest)  # (d_a,)
    cosines = nn.functional.cosine_similarity(rest, expected[None], dim=1)
    return candidates[cosines.topk(min(count, len(candidates))).indices].tolist()


def by_class(places: neighbourhoods.Neighbourhoods, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the classes (k,) that stand in `places`, ascending, and the mean of `surroundings` (k, d_a) of each."""
    labels, owner, counts = places.root_labels.unique(return_inverse=True, return_counts=True)
    total = embeddings.new_zeros(len(labels), embeddings.shape[1])
    return labels, total.index_add(0, owner, surroundings(places, embeddings)) / counts[:, None]


def surroundings(places: neighbourhoods.Neighbourhoods, embeddings: torch.Tensor) -> torch.Tensor:
    """Return the mean class embedding (k, d_a) of what touches the root of each place, zeros where nothing does."""
    counts = places.starts.diff().to(embeddings.device)
    owner = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    vectors = embeddings[places.labels.to(embeddings.device)]
    total = embeddings.new_zeros(len(counts), embeddings.shape[1]).index_add(0, owner, vectors)
    roots = embeddings[places.root_labels.to(embeddings.device)]
    return (total - roots) / (counts - 1).clamp(min=1)[:, None]
