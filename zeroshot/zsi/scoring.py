"""Scores of seen and unseen classes from semantic vectors: the released code's mix, without its background, and direct products."""

from collections.abc import Sequence
from typing import Literal

import torch

from zeroshot.images import label_ids
from zeroshot.zsi import box_head

# `mix` is that of the released code.
Scoring = Literal["mix", "mix_without_background", "direct"]
# Whether unseen classes alone can be predicted (ZSD, ZSI), or seen classes too (GZSD, GZSI).
Protocol = Literal["zsi", "gzsi"]


def class_lists(
    semantics: torch.Tensor,
    vectors: torch.Tensor,
    n_seen: int,
    scoring: Scoring,
    protocol: Protocol,
    among: Sequence[int] | None = None,
) -> list[tuple[range, torch.Tensor]]:
    """Return the lists of classes that postprocessing cuts separately, and the scores of each.

    `mix` (released code): p = softmax of x.W_s over background and seen classes, u = the mean of these word vectors with weights p, and
    the score of any class is u.w. It is no probability; a region of pure background scores v_b.w for every unseen class.
    `mix_without_background`: the background's term is left out of u, so that such a region scores about 0.
    `direct`: the softmax of x.w over the background and all classes that the protocol can predict (the paper's formula).

    Args:
        semantics: x, (n, d) float32.
        vectors: (k, d) float32 word vectors: background, s seen classes, unseen classes.
        n_seen: s.
        scoring: one of the three.
        protocol: `zsi` gives the list of unseen classes; `gzsi` gives those of seen and of unseen classes.
        among: labels of the classes that can be predicted; None for all of the protocol.

    Returns:
        For each list its labels and scores (n, number of labels) float32. A class that cannot be predicted has the score 0.
    """
    if scoring == "direct":
        return of_logits(box_head.scores(semantics, vectors), n_seen, protocol, among)
    known = vectors[: n_seen + 1]
    p = box_head.scores(semantics, known).softmax(dim=1)  # (n, s + 1)
    if scoring == "mix_without_background":
        p, known = p[:, 1:], known[1:]
    scores = p @ known @ vectors.T
    return _cut(scores.masked_fill(_others(scores, among), 0.0), n_seen, protocol)


def of_logits(
    logits: torch.Tensor, n_seen: int, protocol: Protocol, among: Sequence[int] | None = None
) -> list[tuple[range, torch.Tensor]]:
    """Return lists as `class_lists` does, of the softmax over the background and all classes that the protocol can predict.

    Args:
        logits: (n, k) float32 of background, s seen classes and unseen classes.
        n_seen: s.
        protocol: as there.
        among: as there.
    """
    excluded = _others(logits, among)
    if protocol == "zsi":
        excluded[1 : n_seen + 1] = True
    logits = logits.masked_fill(excluded, -torch.inf)
    return _cut(logits.softmax(dim=1), n_seen, protocol)


def _others(scores: torch.Tensor, among: Sequence[int] | None) -> torch.Tensor:
    """Return which columns (k,) bool of scores (n, k) belong to neither the background nor the classes `among`; none if that is None."""
    others = torch.full(scores.shape[1:], among is not None, device=scores.device)
    others[[label_ids.BACKGROUND, *(among or ())]] = False
    return others


def _cut(scores: torch.Tensor, n_seen: int, protocol: Protocol) -> list[tuple[range, torch.Tensor]]:
    """Cut scores (n, k) of all classes into the lists of a protocol."""
    seen, unseen = range(1, n_seen + 1), range(n_seen + 1, scores.shape[1])
    labels = [unseen] if protocol == "zsi" else [seen, unseen]
    return [(part, scores[:, part.start : part.stop]) for part in labels]


def mask_vectors(vectors: torch.Tensor, projection: torch.Tensor, n_seen: int, scoring: Scoring) -> torch.Tensor:
    """Return the vector of each class whose product with a semantic map is the class's mask logit.

    The logit of a seen class is w.map. That of an unseen class is w.map with scoring `direct`. In the released code the logits of
    background and seen classes, z = W_s map, are mapped back to a semantic vector first, W_s^T z, without a softmax, so the logit is
    w.(W_s^T W_s map). `mix_without_background` leaves out the background's term.

    Args:
        vectors: (k, d) float32 word vectors of the mask head, whose row 0 may be synced: background, s seen classes, unseen classes.
        projection: (s + 1, d) float32 W_s of the way back, whose row 0 is never synced.
        n_seen: s.
        scoring: one of the three.

    Returns:
        (k, d) float32.
    """
    if scoring == "direct":
        return vectors
    first = 1 if scoring == "mix_without_background" else 0
    known = vectors[first : n_seen + 1]
    unseen = vectors[n_seen + 1 :] @ projection[first:].T @ known
    return torch.cat([vectors[: n_seen + 1], unseen])
