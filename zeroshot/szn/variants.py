"""The four ways in which SZN's networks label an image, as confusion matrices (Doshi 2018; docs/szn.md)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import scipy.sparse

from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions, metrics
from zeroshot.pixel_classifiers import masked_classifier

Variant = Literal["fcn_s", "fcn_je", "szn", "szn_ps"]


def perfect_mask(confusions: image_confusions.ImageConfusions, split: splits.Split) -> image_confusions.ImageConfusions:
    """Return the matrices of SZN-PS: the side of every pixel is the true one, so it is an upper bound and not a method.

    A pixel of a class that the network was not trained on gets the best class of the unseen side, any other the best of the seen side.

    Args:
        confusions: with the protocols of `labelling.predict_masked_maps`.
        split: gives the roles of the classes.
    """
    sides = {"seen_side": split.train_seen, "unseen_side": [*split.train_unseen, *split.unseen]}
    matrices = image_confusions.by_truth(confusions, sides)
    return dataclasses.replace(
        confusions, counts={"generalised": matrices, "without_bias": matrices} | _vanilla(confusions)
    )


def predicted_mask(confusions: image_confusions.ImageConfusions) -> image_confusions.ImageConfusions:
    """Return the matrices of SZN, of those of `labelling.predict_masked_maps`."""
    counts = {name: confusions.counts[name] for name in ("generalised", "without_bias")}
    return dataclasses.replace(confusions, counts=counts | _vanilla(confusions))


def _vanilla(confusions: image_confusions.ImageConfusions) -> dict[str, scipy.sparse.csr_matrix]:
    """Return the matrices of the vanilla protocol, which there are only with an unseen class."""
    return {name: counts for name, counts in confusions.counts.items() if name == "vanilla"}


def is_untrained(truth: np.ndarray, split: splits.Split) -> np.ndarray:
    """Return where the network was not trained on the class of a pixel: the true mask of label ids (H, W) uint16, as (H, W) bool."""
    return np.isin(truth, [*split.unseen, *split.train_unseen])


def thesis_metrics(matrix: np.ndarray, split: splits.Split) -> dict[str, Mapping[str, float | None]]:
    """Return the metrics as the thesis' code computes them, which the usual ones differ from (`metrics.restricted`, trap T6)."""
    groups = {"overall": [*split.seen, *split.unseen], "seen": split.seen, "unseen": split.unseen}
    return {name: metrics.restricted(matrix, labels) for name, labels in groups.items()}


def mask_accuracy(
    matrix: np.ndarray, masked: masked_classifier.MaskedClassifier, split: splits.Split
) -> dict[str, Any]:
    """Return how many pixels of each role the mask sends to their side, in per cent; None for a role without a pixel.

    The sides have no class in common, so a pixel's predicted class tells its side.

    Args:
        matrix: (C, C) confusion matrix of SZN.
        masked: the model.
        split: gives the roles of the classes.
    """
    on_unseen_side = masked.labels[masked.unseen_side].tolist()
    roles = {
        "train_seen": list(split.train_seen),
        "train_unseen": list(split.train_unseen),
        "unseen": list(split.unseen),
    }
    shares = {}
    for role, labels in roles.items():
        pixels = matrix[labels].sum()
        unseen = matrix[np.ix_(labels, on_unseen_side)].sum()
        right = pixels - unseen if role == "train_seen" else unseen
        shares[role] = metrics.percent(right / pixels if pixels else np.nan)
    return shares
