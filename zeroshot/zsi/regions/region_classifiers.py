"""Linear classifiers of region features: the detector's own, and how any of them labels the regions of an image."""

import typing
from collections.abc import Sequence

import torch

from zeroshot.base import errors
from zeroshot.datasets.instances import class_list
from zeroshot.pixel_classifiers import compatibility, pixel_classifier
from zeroshot.zsi import detector as zsi_detector
from zeroshot.zsi import inference, scoring


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


def labellings(
    classifier: pixel_classifier.PixelClassifier, detector: zsi_detector.Detector, features: torch.Tensor
) -> list[inference.Labelling]:
    """Return how a classifier labels regions, for each protocol of `scoring.Protocol`; arguments are those of `labelling`."""
    return [labelling(classifier, detector, features, protocol) for protocol in typing.get_args(scoring.Protocol)]


def labelling(
    classifier: pixel_classifier.PixelClassifier,
    detector: zsi_detector.Detector,
    features: torch.Tensor,
    protocol: scoring.Protocol,
    among: Sequence[int] | None = None,
) -> inference.Labelling:
    """Return how a classifier labels regions.

    A mask is that of the detector's mask head for the word vector of the label, seen or unseen.

    Args:
        classifier: of background, seen and unseen classes in label order, with its seen bias. The background counts as seen.
        detector: gives the masks.
        features: (n, hidden_dim) float32 of the regions.
        protocol, among: the classes that can be predicted, as in `scoring.of_logits`.
    """
    logits = classifier.logits(features)
    lists = scoring.of_logits(logits, detector.box_head.n_seen, protocol, among)
    return inference.Labelling(lists, detector.mask_head.vectors)


def check(classifier: pixel_classifier.PixelClassifier, classes: class_list.InstanceClasses) -> None:
    """Refuse a classifier that lacks a class.

    Raises:
        errors.UserError: if its rows are not all classes in label order.
    """
    if classifier.labels.tolist() != list(range(len(classes.classes))):
        raise errors.UserError(
            "the classifier does not have a row for the background, each seen and each unseen class in this order; "
            "make it again with `dvc repro zsi/dvc.yaml`"
        )
