"""Evaluating label maps predicted from the cached feature maps, in the protocols of the paper (section 3.1).

Generalised: every class can be predicted at every pixel. Vanilla (Table 2): only unseen classes can be predicted, and only pixels of
unseen classes count. The versions of the released code that have this protocol do the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from zeroshot.base import errors, parallel, params
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions, metrics
from zeroshot.images import label_ids, views
from zeroshot.networks import pretraining


@params.section
class Params:
    """The section `evaluation`; see params.yaml."""

    short_side: views.ShortSide
    absent_classes: metrics.Absent


# Maps the features (h, w, d) of an image, the size (H, W) of its label maps and its own size to a label map in each protocol.
Predict = Callable[[np.ndarray, tuple[int, int], tuple[int, int]], Mapping[str, np.ndarray]]


def protocol(options: Params, cache: index.Index) -> dict[str, Any]:
    """Return the protocol to store with the metrics: `options`, and the shorter side to which the images were resized for the network.

    Raises:
        errors.UserError: if masks that were resized before they were cached would be resized again.
    """
    # Older caches have no such key; their images were not resized.
    cached = cache.provenance.get("features", {}).get("val_short_side")
    if None not in (cached, options.short_side) and cached != options.short_side:
        raise errors.UserError(
            f"evaluation.short_side: is {options.short_side}, but the cached masks were resized to features.val_short_side, "
            f"{cached}; set it to {cached} or null, or change features.val_short_side too"
        )
    return {**params.to_dict(options), "image_short_side": cached}


def pretraining_of(cache: index.Index) -> pretraining.Pretraining:
    """Return `backbone.pretraining` of the network that computed a cache.

    Raises:
        errors.UserError: if the cache has no such record, as caches of older versions of this code.
    """
    recorded = cache.provenance.get("pretraining")
    for kind in pretraining.SENTENCES:
        if recorded == kind:
            return kind
    raise errors.UserError(
        f"the cache of features does not say what the encoder was pretrained with ({recorded}); "
        "make it again with `dvc repro dump_features`"
    )


def confusions(
    predict: Predict,
    cache: Iterable[maps.Map],
    split: splits.Split,
    short_side: int | None = None,
    workers: int = 0,
) -> image_confusions.ImageConfusions:
    """Return the confusion matrix of the valid pixels of each image, for each protocol that `predict` returns a label map for.

    The matrix of `vanilla` has counts in the rows of unseen classes only.

    Args:
        predict: maps features (h, w, d) float16, the size (H, W) of the mask to compare with and the size of the image that the
            features are of to a label map (H, W) for each protocol.
        cache: the feature maps to evaluate, read one at a time.
        split: the split, with C classes.
        short_side: masks are first resized (nearest) to this shorter side, and predicted at that size; None: no resizing.
        workers: threads that evaluate one image each, 0 for none; the counts do not depend on their number.
    """
    resized = views.View(short_side=short_side)
    unseen_only = np.full(label_ids.N_IDS, label_ids.IGNORE_INDEX, label_ids.DTYPE)
    unseen_only[list(split.unseen)] = split.unseen

    n_classes = len(split.classes)

    def score(item: maps.Map) -> tuple[str, dict[str, scipy.sparse.csr_matrix]]:
        mask = resized.mask(item.mask)
        label_maps = predict(item.features, *((shape[0], shape[1]) for shape in (mask.shape, item.mask.shape)))
        truths = {name: unseen_only[mask] if name == "vanilla" else mask for name in label_maps}
        return item.image, {
            name: scipy.sparse.csr_matrix(metrics.confusion(truths[name], labels, n_classes).reshape(1, -1))
            for name, labels in label_maps.items()
        }

    images, matrices = zip(*parallel.in_order(score, cache, workers), strict=True)
    return image_confusions.stack(images, matrices, n_classes)


def class_table(matrix: np.ndarray, classes: Sequence[str], unseen: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row {class, role, IoU, accuracy, pixels} for each class, in per cent; None for a class without a true pixel."""
    ious, accuracies = metrics.iou(matrix), metrics.accuracy(matrix)
    return [
        {
            "class": name,
            "role": "unseen" if label in unseen else "seen",
            "IoU": metrics.percent(ious[label]),
            "accuracy": metrics.percent(accuracies[label]),
            "pixels": int(matrix[label].sum()),
        }
        for label, name in enumerate(classes)
    ]


def confusion_table(matrix: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row {truth, prediction, share} for each pair of classes, the share in per cent of the true class's pixels."""
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return [
        {"truth": classes[row], "prediction": classes[column], "share": round(float(share), 4)}
        for (row, column), share in np.ndenumerate(shares)
    ]
