"""Selection of pseudo-labels: the predictions on unlabelled pixels that are confident enough for training (paper section 2.2)."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pydantic
import torch

from zeroshot.base import errors, params
from zeroshot.cache import rows
from zeroshot.images import label_ids, views
from zeroshot.pixel_classifiers import pixel_classifier


@params.section
class Params:
    """The section `pseudo_labels`; see params.yaml."""

    rule: Literal["per_image", "per_dataset", "agreement"]
    p: Annotated[params.Positive, pydantic.Field(le=100)]
    min_confidence: params.Fraction
    classes: Literal["unseen", "all"]


def select(classifier: pixel_classifier.PixelClassifier, unlabelled: rows.Rows, options: Params) -> rows.Rows:
    """Return the selected rows with their pseudo-labels; no true label is read.

    Args:
        classifier: predicts the labels from its calibrated logits.
        unlabelled: `features` (n, d) float16, `image`, `view`, `position` and `weight`, with all views of each image.
        options: see `keep`.

    Returns:
        all columns of the rows that `keep` selects, with the pseudo-label as `label`; stably sorted by it.

    Raises:
        errors.UserError: as in `keep`.
    """
    labels, confidences = predict(classifier, unlabelled["features"])
    selected = np.flatnonzero(keep(classifier, unlabelled, labels, confidences, options))
    selected = selected[np.argsort(labels[selected], kind="stable")]
    return {name: column[selected] for name, column in (unlabelled | {"label": labels}).items()}


@torch.inference_mode()
def predict(
    classifier: pixel_classifier.PixelClassifier, features: np.ndarray, chunk: int = 65536
) -> tuple[np.ndarray, np.ndarray]:
    """Label features (n, d) float16, `chunk` of them at a time.

    Returns:
        the label id (n,) uint16 with the largest calibrated logit, and its confidence (n,) float32: the softmax probability of that
        class over the calibrated logits of all classes.
    """
    labels, confidences = np.empty(len(features), label_ids.DTYPE), np.empty(len(features), np.float32)
    for start in range(0, len(features), chunk):
        part = slice(start, start + chunk)
        x = torch.from_numpy(features[part]).to(classifier.weight.device).float()
        best = classifier.logits(x).softmax(1).max(1)
        confidences[part] = best.values.cpu().numpy()
        labels[part] = classifier.labels[best.indices].cpu().numpy()
    return labels, confidences


def keep(
    classifier: pixel_classifier.PixelClassifier,
    places: rows.Rows,
    labels: np.ndarray,
    confidences: np.ndarray,
    options: Params,
) -> np.ndarray:
    """Select the rows whose prediction becomes a pseudo-label.

    Candidates are rows of the whole view (the image without augmentation) with a confidence of at least `min_confidence`; with classes
    `unseen`, only those predicted as an unseen class. The rule selects among them:

    * per_image (paper): of every image and class the p per cent most confident;
    * per_dataset: of every class the p per cent most confident of all images together;
    * agreement (Pastore et al., CVPR workshops 2021, STRICT): all whose position has the same label in every view.

    Args:
        classifier: its `unseen` classes are used.
        places: `image`, `view`, `position` and `weight` of each row (n,).
        labels: (n,) uint16, predicted.
        confidences: (n,) float32, of the predictions.
        options: the rule and its thresholds.

    Returns:
        (n,) bool. The rows of a larger p include those of a smaller p.

    Raises:
        errors.UserError: if the rule is agreement and there is only one view.
    """
    unseen_labels = classifier.labels[classifier.unseen].cpu().numpy() if options.classes == "unseen" else None
    candidates = (places["view"] == views.WHOLE) & (confidences >= options.min_confidence)
    if unseen_labels is not None:
        candidates &= np.isin(labels, unseen_labels)
    if options.rule == "agreement":
        return candidates & agreeing(places, labels)
    index = np.flatnonzero(candidates)
    image = places["image"][index] if options.rule == "per_image" else np.zeros(len(index), np.int64)
    top = most_confident([image, labels[index]], confidences[index], places["weight"][index], options.p)
    selected = np.zeros(len(labels), bool)
    selected[index[top]] = True
    return selected


def most_confident(groups: Sequence[np.ndarray], confidences: np.ndarray, weights: np.ndarray, p: float) -> np.ndarray:
    """Return which rows (n,) bool are the p per cent most confident of their group.

    A row is selected if the more confident rows of its group represent less than p per cent of the cells of the group. So at least one row
    of every group is selected, and with equal weights p per cent of the rows, rounded up. Of equally confident rows the first wins.

    Args:
        groups: columns (n,); rows that agree in all of them form a group.
        confidences: (n,) float32.
        weights: (n,) float32, how many cells each row represents.
        p: per cent, above 0 and at most 100.
    """
    order = np.lexsort([np.arange(len(confidences)), -confidences, *groups])
    sorted_groups = np.stack([column[order] for column in groups])
    is_first = np.ones(len(order), bool)
    is_first[1:] = (sorted_groups[:, 1:] != sorted_groups[:, :-1]).any(0)
    group = np.cumsum(is_first) - 1
    sizes = weights[order].astype(np.float64)
    before = np.cumsum(sizes) - sizes
    before -= before[is_first][group]
    selected = np.empty(len(order), bool)
    selected[order] = 100 * before < p * np.bincount(group, weights=sizes)[group]
    return selected


def agreeing(places: rows.Rows, labels: np.ndarray) -> np.ndarray:
    """Return which rows (n,) bool have a position with the same label in all views.

    Args:
        places: `image`, `view` and `position` (y, x) on the whole view's feature map, of each row (n,).
        labels: (n,) uint16.

    Raises:
        errors.UserError: if there are rows, but of one view only.
    """
    if len(labels) and len(np.unique(places["view"])) == 1:
        raise errors.UserError(
            "pseudo_labels.rule: agreement needs the unlabelled pixels in several views, found 1; set features.unlabelled_views, or"
            " choose another rule"
        )
    place = np.column_stack([places["image"], places["position"]]).astype(np.int64)
    _, place = np.unique(place, axis=0, return_inverse=True)
    place = place.ravel()
    lowest = np.full(place.max(initial=-1) + 1, label_ids.IGNORE_INDEX, label_ids.DTYPE)
    highest = np.zeros_like(lowest)
    np.minimum.at(lowest, place, labels)
    np.maximum.at(highest, place, labels)
    return (lowest == highest)[place]
