"""Classifiers of region features: the detector's own, and heads that label the regions of an image."""

import dataclasses
import math
import typing
from collections.abc import Sequence

import torch

from zeroshot.base import errors
from zeroshot.datasets.instances import class_list
from zeroshot.pixel_classifiers import compatibility, pixel_classifier
from zeroshot.zsi import box_head, inference, scoring
from zeroshot.zsi import detector as zsi_detector


@dataclasses.dataclass(frozen=True)
class RegionHead:
    """A classifier of region features, and the weight of the detector's semantic vectors beside it.

    Attributes:
        classifier: of background, seen and unseen classes in label order, with its seen bias. The background counts as seen.
        semantic_weight: that of `semantic_evidence`, which is added to the logits of unseen classes.
    """

    classifier: pixel_classifier.PixelClassifier
    semantic_weight: float

    def logits(
        self, detector: zsi_detector.Detector, features: torch.Tensor, among: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Return the logits (n, k) float32 of all classes.

        Args:
            detector: gives semantic vectors and word vectors.
            features: (n, hidden_dim) float32 of regions.
            among: labels of the classes that can be predicted; None for all. The evidence compares the unseen ones of these alone.
        """
        logits = self.classifier.logits(features).clone()
        head = detector.box_head
        unseen = [label for label in range(head.n_seen + 1, len(head.vectors)) if among is None or label in among]
        logits[:, unseen] += semantic_evidence(
            head.semantics(features), head.vectors[1 : head.n_seen + 1], head.vectors[unseen], self.semantic_weight
        )
        return logits


def of_classifier(
    classifier: pixel_classifier.PixelClassifier, classes: class_list.InstanceClasses, semantic_weight: float
) -> RegionHead:
    """Return the head of a classifier.

    Raises:
        errors.UserError: if its rows are not all classes in label order.
    """
    if classifier.labels.tolist() != list(range(len(classes.classes))):
        raise errors.UserError(
            "the classifier does not have a row for the background, each seen and each unseen class in this order; "
            "make it again with `dvc repro zsi/dvc.yaml`"
        )
    return RegionHead(classifier, semantic_weight)


def of_detector(detector: zsi_detector.Detector) -> pixel_classifier.PixelClassifier:
    """Return the detector's classifier of background and seen classes, x.w with x = E f, as rows on its features f.

    The encoder has no non-linearity, so the scores are linear in f. Row 0 is the synchronised background.
    """
    head = detector.box_head
    detector.sync_background()
    with torch.no_grad():
        # The encoder of a zero feature and of unit features gives the linear map.
        zero = head.vectors.new_zeros(1, head.regressor.in_features)
        bias = head.semantics(zero)[0]
        weight = (head.semantics(torch.eye(zero.shape[1], device=zero.device)) - bias).T
        return compatibility.classifier(weight, bias, head.seen_vectors(), range(head.n_seen + 1), ())


def semantic_evidence(semantics: torch.Tensor, seen: torch.Tensor, unseen: torch.Tensor, weight: float) -> torch.Tensor:
    """Return what semantic vectors say about the unseen class of a region, as logits (n, u). Not in the paper.

    m is the mean of the word vectors of seen classes, weighted by the softmax of x.w over seen classes. (It is u of the scoring
    `mix_without_background`, divided by the probability of the seen classes.) q is the softmax of weight * m.w over unseen classes, and
    the result log(u q): 0 where they are equally likely. Beside the logits of a classifier, it makes a product of experts (Hinton 2002)
    among unseen classes. Between unseen and seen classes it is a bias for the unseen class that m is nearest to, of at most log u.

    Args:
        semantics: x, (n, d) float32.
        seen: (s, d) float32 word vectors of the seen classes, without the background.
        unseen: (u, d) float32 word vectors of the unseen classes.
        weight: at least 0, in units of one over the squared length of word vectors; with 0 the result is 0.
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
    lists = scoring.of_logits(head.logits(detector, features, among), detector.box_head.n_seen, protocol, among)
    return inference.Labelling(lists, detector.mask_head.vectors)
