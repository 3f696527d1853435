"""Linear classifiers of region features: the detector's own, and the check of any."""

import torch

from zeroshot.base import errors
from zeroshot.datasets.instances import class_list
from zeroshot.pixel_classifiers import compatibility, pixel_classifier
from zeroshot.zsi import detector as zsi_detector


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
