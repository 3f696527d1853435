"""Cross-validation of the feature oracle, an upper bound: its last layer trains on REAL FEATURES AND LABELS OF UNSEEN CLASSES.

Everything else is as in `classifiers.fine_tuning`. So the gap between the oracle and a zero-shot model is the loss due to the
generator. The gap between the oracle and full supervision is the loss due to a backbone that was trained without the unseen classes.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from zeroshot.cache import pools, rows
from zeroshot.images import views
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration
from zeroshot.zs3net import feature_source
from zeroshot.zs3net.classifiers import fine_tuning


@dataclasses.dataclass(frozen=True)
class ImageFold:
    """A fold that holds out images, not classes.

    Attributes:
        name: shown to the user.
        train: which rows train: of the training images, (n,) bool, and of the unlabelled images, (m,) bool.
        evaluation: which rows are scored, in the same form; never a row that trains.
    """

    name: str
    train: tuple[np.ndarray, np.ndarray]
    evaluation: tuple[np.ndarray, np.ndarray]


def split_images(
    sampled: rows.Rows,
    revealed: rows.Rows,
    images: tuple[Sequence[str], Sequence[str]],
    unseen: Sequence[int],
    n_folds: int,
    seed: int,
) -> list[ImageFold]:
    """Split the images of the oracle into folds.

    The seen bias of an upper bound must fit the unseen classes themselves, so unseen classes are scored here. Zero-shot models use
    held-out seen classes instead, on which the backbone was trained.

    Args:
        sampled: real features of seen classes in the training images, with `image`, `view` and `weight`. Only the first view is scored.
        revealed: real features of all classes in the unlabelled images, with their true labels, `image` and `weight`.
        images: image ids of `sampled` and of `revealed`, indexed by their `image`. With data.exclude: pixels an image may be in
            both; it is then in one fold.
        unseen: label ids.
        n_folds: number of folds; at least 2 are made.
        seed: the only source of randomness.
    """
    n_folds = max(2, n_folds)
    sampled_fold, revealed_fold = _assign_folds((sampled["image"], revealed["image"]), images, n_folds, seed)
    # A seen class of an image in both lists has rows in both tables; it is scored once.
    duplicate = np.isin(np.asarray(images[1], str)[revealed["image"]], images[0]) & ~np.isin(revealed["label"], unseen)
    return [
        ImageFold(
            f"part {fold + 1} of the images",
            (sampled_fold != fold, revealed_fold != fold),
            ((sampled_fold == fold) & (sampled["view"] == views.WHOLE), (revealed_fold == fold) & ~duplicate),
        )
        for fold in range(n_folds)
    ]


def train_fold(
    fold: ImageFold,
    *,
    sampled: rows.Rows,
    revealed: rows.Rows,
    start: pixel_classifier.PixelClassifier,
    seen: Sequence[int],
    unseen: Sequence[int],
    options: fine_tuning.Params,
    device: torch.device,
) -> calibration.TrainedFold | None:
    """Train a classifier on all images but those of a fold.

    Args:
        fold: from `split_images`, called with the same `sampled`, `revealed` and `unseen`.
        sampled: real features of seen classes in the training images.
        revealed: real features of all classes in the unlabelled images, with their true labels.
        start: the backbone's last layer.
        seen: label ids.
        unseen: label ids.
        options: how the classifier is trained.
        device: where to train.

    Returns:
        the classifier and the rows that score it. None if the scored images lack a seen class, or an unseen class that the training
        images show too.
    """
    real = pools.select(rows.keep(sampled, fold.train[0]), seen)
    real_unseen = pools.select(rows.keep(revealed, fold.train[1]), unseen)
    tables = [rows.keep(table, chosen) for table, chosen in zip((sampled, revealed), fold.evaluation, strict=True)]
    scored = {name: np.concatenate([table[name] for table in tables]) for name in ("features", "label", "weight")}
    scored = rows.keep(scored, np.isin(scored["label"], [*seen, *real_unseen.labels.tolist()]))
    is_unseen = np.isin(scored["label"], real_unseen.labels)
    if not len(real.labels) or not is_unseen.any() or is_unseen.all():
        return None
    source = feature_source.RealFeatures(real_unseen, device)
    *_, (_, model) = fine_tuning.fit(start, real, source, real_unseen.labels.tolist(), options)
    return calibration.TrainedFold(model, scored)


def _assign_folds(
    image_columns: Sequence[np.ndarray], images: Sequence[Sequence[str]], n_folds: int, seed: int
) -> tuple[np.ndarray, ...]:
    """Return the fold (n,) int64 of each row of several tables; all rows of an image are in one fold.

    Args:
        image_columns: the column `image` (n,) of each table.
        images: the image ids that each of these columns indexes.
        n_folds: number of folds.
        seed: the only source of randomness.
    """
    ids = sorted({name for names in images for name in names})
    fold_of = dict(
        zip(np.random.default_rng(seed).permutation(ids).tolist(), np.arange(len(ids)) % n_folds, strict=True)
    )
    return tuple(
        np.array([fold_of[name] for name in names], np.int64)[column]
        for column, names in zip(image_columns, images, strict=True)
    )
