"""The dataclass of every section of params.yaml, and a check of all sections before any stage runs."""

import pathlib
import typing
from collections.abc import Mapping
from typing import Any

from zeroshot.base import errors, params, runtime
from zeroshot.cache import shard_plan
from zeroshot.datasets import conversion, layout, lists, published
from zeroshot.datasets.toy import scenes
from zeroshot.evaluation import example_images, protocols
from zeroshot.networks import backbone, pretraining
from zeroshot.pixel_classifiers.cross_validation import folds
from zeroshot.words import class_embeddings
from zeroshot.zs3net import self_training_network
from zeroshot.zs3net.classifiers import baselines, fine_tuning, self_training
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import selection

SECTIONS = {
    "toy": scenes.Params,
    "labels": conversion.Params,
    "data": layout.Params,
    "embeddings": class_embeddings.Params,
    "backbone": backbone.Params,
    "features": shard_plan.Params,
    "gmmn": registry.Params,
    "classifier": fine_tuning.Params,
    "pseudo_labels": selection.Params,
    "self_training": self_training.Params,
    "self_training_network": self_training_network.Params,
    "baseline": baselines.Params,
    "evaluation": protocols.Params,
    "visualise": example_images.Params,
    "runtime": runtime.Params,
}


def check(path: str | pathlib.Path) -> None:
    """Load every section of the parameter file at `path`, and check what one value asks of others.

    Raises:
        params.ParamsError: with all errors of all sections, and the unknown sections.
    """
    faults, loaded = [], {}
    for name, cls in SECTIONS.items():
        try:
            loaded[name] = params.load(path, name, cls)
        except params.ParamsError as error:
            faults.append(str(error))
    unknown = [name for name in params.read(path) if name not in SECTIONS]
    if unknown:
        faults.append(f"{path}: unknown sections: {', '.join(unknown)}; choose from {', '.join(SECTIONS)}")
    if not faults:
        faults += [
            f"{path}: {fault}"
            for fault in [*_pretraining(loaded["backbone"]), *_classes(loaded), *_cross_validation(loaded)]
        ]
    if faults:
        raise params.ParamsError("\n".join(faults))


def check_weights(path: str | pathlib.Path) -> None:
    """Check that the file of `backbone.weights` exists, which no stage makes.

    Raises:
        params.ParamsError: if it does not.
    """
    weights = pathlib.Path(params.load(path, "backbone", backbone.Params).weights)
    if not weights.exists():
        raise params.ParamsError(f"{path}: backbone.weights: {weights} does not exist")


def _pretraining(options: backbone.Params) -> list[str]:
    """Return the fault of `backbone.pretraining`, if it cannot be true of the weights."""
    try:
        pretraining.check(options.pretraining, pathlib.Path(options.weights))
    except errors.UserError as error:
        return [str(error)]
    return []


def _classes(loaded: Mapping[str, Any]) -> list[str]:
    """Return the fault of `data.classes`, if its published list is not that of the masks that convert_labels makes."""
    labels, data = loaded["labels"], loaded["data"]
    is_used = data.train_masks is None or data.val_masks is None
    if not is_used or data.classes not in published.DATASETS or not labels.format.startswith("context"):
        return []
    is_reduced = labels.reduce or labels.format == "context_png" and labels.ids == "0-33"
    classes = "context_33" if is_reduced else "context"
    if data.classes == classes:
        return []
    return [
        f"data.classes: is {data.classes}, and section `labels` makes masks of {classes}: their label ids mean other classes; set "
        f"data.classes: {classes}, or change labels.reduce or labels.ids"
    ]


def _cross_validation(loaded: Mapping[str, Any]) -> list[str]:
    """Return a fault for each cross-validation that has too few seen classes, as far as the class list is at hand yet."""
    data = loaded["data"]
    classes = lists.read_classes(pathlib.Path(data.root), data.classes, errors.Faults())
    unseen = layout.unseen_names(data)
    objects = len(classes) - 1 - len(unseen)
    if not classes or not unseen or objects >= folds.LEAST_CLASSES:
        return []
    callers = [folds.CLASSIFIER] if loaded["classifier"].calibration.enabled else []
    callers += [
        baselines.keys(method)
        for method in typing.get_args(baselines.Method)
        if getattr(loaded["baseline"], method).calibrated
    ]
    return [
        f"zero-shot cross-validation needs {folds.LEAST_CLASSES} seen classes besides the background, and `data` leaves"
        f" {objects}; {keys.without}, or declare fewer classes unseen"
        for keys in callers
    ]
