"""How a classifier of region features labels the regions of an image, together with the detector's own semantic vectors."""

import dataclasses
import math
import typing
from collections.abc import Sequence

import torch

from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zsi import box_head, inference, scoring
from zeroshot.zsi import detector as zsi_detector


@dataclasses.dataclass(frozen=True)
class RegionHead:
    """What scores the classes of regions.

    Attributes:
        classifier: of background, seen and unseen classes in label order, with its seen bias. The background counts as seen.
        semantic_weight: weight of the detector's semantic vectors in the choice among unseen classes (`semantic_evidence`).
    """

    classifier: pixel_classifier.PixelClassifier
    semantic_weight: float

    def logits(self, detector: zsi_detector.Detector, features: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, k) float32 of all classes for features (n, hidden_dim) float32 of regions."""
        logits = self.classifier.logits(features)
        first = detector.box_head.n_seen + 1
        evidence = semantic_evidence(
            detector.box_head.semantics(features),
            detector.box_head.vectors[1:first],
            detector.box_head.vectors[first:],
            self.semantic_weight,
        )
        return torch.cat([logits[:, :first], logits[:, first:] + evidence], dim=1)


def semantic_evidence(semantics: torch.Tensor, seen: torch.Tensor, unseen: torch.Tensor, weight: float) -> torch.Tensor:
    """Return what semantic vectors say about which unseen class a region has, as logits (n, u).

    The seen classes that a region resembles tell: m is the mean of their word vectors, weighted by the softmax of x.w over seen classes.
    With q the softmax of weight * m.w over unseen classes, the result is log(u q), which is 0 where they are equally likely. Added to the
    logits of a classifier it multiplies the odds, as for independent evidence (a product of experts; Hinton 2002). Not in the paper.

    Args:
        semantics: x, (n, d) float32.
        seen: (s, d) float32 word vectors of the seen classes, without the background.
        unseen: (u, d) float32 word vectors of the unseen classes.
        weight: at least 0; with 0 the result is 0.
    """
    mean = box_head.scores(semantics, seen).softmax(dim=1) @ seen
    return (weight * mean @ unseen.T).log_softmax(dim=1) + math.log(max(len(unseen), 1))


def labellings(head: RegionHead, detector: zsi_detector.Detector, features: torch.Tensor) -> list[inference.Labelling]:
    """Return how a head labels regions, for each protocol of `scoring.Protocol`; arguments are those of `labelling`."""
    return [labelling(head, detector, features, protocol) for protocol in typing.get_args(scoring.Protocol)]


def labelling(
    head: RegionHead,
    detector: zsi_detector.Detector,
    features: torch.Tensor,
    protocol: scoring.Protocol,
    among: Sequence[int] | None = None,
) -> inference.Labelling:
    """Return how a head labels regions.

    A mask is that of the detector's mask head for the word vector of the label, seen or unseen.

    Args:
        head: scores the classes.
        detector: gives semantic vectors and masks.
        features: (n, hidden_dim) float32 of the regions.
        protocol, among: the classes that can be predicted, as in `scoring.of_logits`.
    """
    lists = scoring.of_logits(head.logits(detector, features), detector.box_head.n_seen, protocol, among)
    return inference.Labelling(lists, detector.mask_head.vectors)
