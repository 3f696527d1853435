"""ZS5Net in one fold of cross-validation: held-out seen classes act as unseen in images whose labels are hidden."""

import dataclasses
import pathlib

import numpy as np

from zeroshot.cache import pools, rows
from zeroshot.pixel_classifiers.cross_validation import calibration, folds
from zeroshot.zs3net.classifiers import self_training
from zeroshot.zs3net.fold_training import fold_models
from zeroshot.zs3net.pseudo_labels import selection

# The reason why the rule `agreement` has no folds, for messages.
NO_AGREEMENT = "agreement cannot be cross-validated, as the views of training pixels are of different places"


def train(
    models: fold_models.FoldModels,
    *,
    features_dir: pathlib.Path,
    sampled: rows.Rows,
    seen_bias: float,
    labelling: selection.Params,
    options: self_training.Params,
) -> calibration.TrainedFold:
    """Read the unlabelled images of a fold from the cache of training pixels `features_dir`, then call `train_again`."""
    hidden = hidden_rows(features_dir, models.fold.unlabelled)
    return train_again(models, hidden, sampled, seen_bias, labelling, options)


def train_again(
    models: fold_models.FoldModels,
    hidden: rows.Rows,
    sampled: rows.Rows,
    seen_bias: float,
    labelling: selection.Params,
    options: self_training.Params,
) -> calibration.TrainedFold:
    """Pseudo-label unlabelled images with the ZS3Net of a fold, and train its classifier again.

    Args:
        models: the ZS3Net of this fold.
        hidden: rows of the fold's unlabelled images, from `hidden_rows`.
        sampled: real features of seen classes, sorted by class, with their weights and images.
        seen_bias: seen bias of ZS3Net when it pseudo-labels.
        labelling: the rule that selects pseudo-labels.
        options: how the classifier is trained again.

    Returns:
        the classifier, and rows of the evaluation images.
    """
    fold = models.fold
    model = dataclasses.replace(models.classifier, seen_bias=seen_bias)
    labels = model.labels.sort().values.tolist()
    seen = fold.seen(labels)
    real = pools.select(folds.training_rows(fold, sampled, seen), seen)
    for _ in range(options.rounds):
        pseudo = pools.select(selection.select(model, hidden, labelling), labels)
        *_, (_, model) = self_training.fit(model, real, pseudo, models.generator, fold.held_out, options)
    return calibration.TrainedFold(model, folds.evaluation_rows(fold, sampled, model.labels.tolist()))


def hidden_rows(folder: str | pathlib.Path, chosen: np.ndarray) -> rows.Rows:
    """Return rows of the images `chosen`, (n_images,) bool, in the form of an unlabelled cache: no label, no component.

    A labelled cache is balanced over classes, an unlabelled one is uniform over the image. So the rows of an image are resampled
    systematically, in proportion to the cells that each represents: a row of many cells may occur several times, one of few cells not
    at all. The number of rows does not change. A labelled cache has no cells without a label (contours), so pseudo-labels are slightly
    better in a fold than on unlabelled images. Peak memory is that of the result and one shard.

    Raises:
        index.ShardError: as in `rows.sample`.
    """
    parts = []
    for table in rows.read(folder):
        candidates = np.flatnonzero(chosen[table["image"]])
        sampled_rows, weights = _resample(
            table["image"][candidates], table["view"][candidates], table["weight"][candidates]
        )
        parts.append({name: column[candidates[sampled_rows]] for name, column in table.items()})
        parts[-1]["weight"] = weights
        parts[-1]["label"][:] = rows.UNLABELLED
        parts[-1]["component"][:] = 0
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _resample(image: np.ndarray, view: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Resample the rows of each view of an image, systematically and in proportion to `weight`; their number does not change.

    Args:
        image: (n,) image of each row.
        view: (n,) view of each row.
        weight: (n,) float32, how many cells each row represents.

    Returns:
        the sampled rows (n,), sorted by image and view, and how many cells each now represents (n,) float32, the same in all of a view.
    """
    order = np.lexsort([view, image])
    passes = np.column_stack([image, view])[order]
    starts = np.flatnonzero(np.diff(passes, axis=0, prepend=-1).any(axis=1))
    sampled_rows, cells = [order[:0]], [np.zeros(0, np.float32)]
    for view_rows in np.split(order, starts[1:]) if len(order) else []:
        ends = np.cumsum(weight[view_rows], dtype=np.float64)
        step = ends[-1] / len(view_rows)
        places = np.searchsorted(ends, step * (np.arange(len(view_rows)) + 0.5)).clip(max=len(view_rows) - 1)
        sampled_rows.append(view_rows[places])
        cells.append(np.full(len(view_rows), step, np.float32))
    return np.concatenate(sampled_rows), np.concatenate(cells)
