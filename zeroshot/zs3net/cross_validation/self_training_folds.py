"""ZS5Net in one fold of cross-validation: held-out seen classes play unseen in images whose labels are hidden."""

import dataclasses
import pathlib

import numpy as np

from zeroshot.cache import pools, rows
from zeroshot.zs3net.classifiers import self_training
from zeroshot.zs3net.cross_validation import calibration, fold_models, folds
from zeroshot.zs3net.pseudo_labels import selection

# Why the rule `agreement` has no folds.
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
    """Read the fold's unlabelled images from the cache of training pixels `features_dir`, and go on as `train_again`."""
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
    """Let ZS3Net of a fold pseudo-label, and train its classifier again.

    Args:
        models: ZS3Net in this fold.
        hidden: rows of the fold's unlabelled images, from `hidden_rows`.
        sampled: real features of seen classes, sorted by class, with their weights and images.
        seen_bias: the bias with which ZS3Net labels.
        labelling: which pseudo-labels are used.
        options: how the classifier is trained again.

    Returns:
        the classifier, and rows of the images that the fold evaluates.
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
    """Return rows of the images that are `chosen`, (n_images,) bool, as an unlabelled cache would have them: no label, no component.

    A labelled cache is balanced over classes, an unlabelled one even over the image. So as many rows as an image has are taken at even
    steps through its cells: one that stands for many cells comes several times, one that stands for few perhaps not at all. Cells without
    a label (contours) are in no labelled cache and so not here, which makes pseudo-labels somewhat better in a fold than they really are.
    Peak memory is that of the answer and one shard.

    Raises:
        index.ShardError: as `rows.sample`.
    """
    parts = []
    for table in rows.read(folder):
        candidates = np.flatnonzero(chosen[table["image"]])
        picked, weights = _evenly(table["image"][candidates], table["view"][candidates], table["weight"][candidates])
        parts.append({name: column[candidates[picked]] for name, column in table.items()})
        parts[-1]["weight"] = weights
        parts[-1]["label"][:] = rows.UNLABELLED
        parts[-1]["component"][:] = 0
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _evenly(image: np.ndarray, view: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pick from each view of an image as many rows as it has, systematically and in proportion to `weight`.

    Args:
        image: (n,) of each row.
        view: (n,).
        weight: (n,) float32, how many cells each row stands for.

    Returns:
        the rows picked (n,), sorted by image and view, and for how many cells each stands now (n,) float32: all of one view for as many.
    """
    order = np.lexsort([view, image])
    passes = np.column_stack([image, view])[order]
    starts = np.flatnonzero(np.diff(passes, axis=0, prepend=-1).any(axis=1))
    picked, cells = [order[:0]], [np.zeros(0, np.float32)]
    for of_view in np.split(order, starts[1:]) if len(order) else []:
        ends = np.cumsum(weight[of_view], dtype=np.float64)
        step = ends[-1] / len(of_view)
        places = np.searchsorted(ends, step * (np.arange(len(of_view)) + 0.5)).clip(max=len(of_view) - 1)
        picked.append(of_view[places])
        cells.append(np.full(len(of_view), step, np.float32))
    return np.concatenate(picked), np.concatenate(cells)
