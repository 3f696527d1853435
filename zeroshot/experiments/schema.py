"""The dataclass of every section of params.yaml, szn/params.yaml and zsi/params.yaml, and a check of all before any stage runs."""

import pathlib
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from zeroshot.base import errors, params, runtime
from zeroshot.cache import sources
from zeroshot.datasets import conversion, layout, lists, published
from zeroshot.datasets.instances import instance_roles
from zeroshot.datasets.shapes import arrangements
from zeroshot.datasets.toy import scenes
from zeroshot.evaluation import example_images, protocols
from zeroshot.evaluation.instances import instance_metrics
from zeroshot.figures import instances
from zeroshot.networks import backbone, pretraining
from zeroshot.pixel_classifiers.cross_validation import folds
from zeroshot.szn import features, joint_embedding_bias, network, roles, seen_mask, seen_mask_folds
from zeroshot.words import class_embeddings, principal_components
from zeroshot.zs3net import self_training_network
from zeroshot.zs3net.classifiers import baselines, fine_tuning, self_training
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import selection
from zeroshot.zsi import sections

SECTIONS = {
    "toy": scenes.Params,
    "labels": conversion.Params,
    "data": layout.Params,
    "embeddings": class_embeddings.Params,
    "backbone": backbone.Params,
    "features": sources.Params,
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
# Sections of szn/params.yaml. Everything else about a run of SZN is in params.yaml.
SZN_SECTIONS = {
    "split": roles.Params,
    "embeddings": class_embeddings.Params,
    "pca": principal_components.Params,
    "network": network.Params,
    "features": features.Params,
    "joint_embedding": joint_embedding_bias.Params,
    "seen_mask": seen_mask.Params,
}
# Sections of zsi/params.yaml. Of params.yaml, ZSI reads the section runtime alone.
ZSI_SECTIONS = {
    "data": instance_roles.Params,
    "shapes": arrangements.Params,
    "embeddings": class_embeddings.Params,
    "detector": sections.Detector,
    "detection": sections.Detection,
    "regions": sections.Regions,
    "gmmn": registry.Params,
    "classifier": fine_tuning.Params,
    "baseline": baselines.Params,
    "heads": sections.Heads,
    "evaluation": instance_metrics.Params,
    "pictures": instances.Params,
}
# Parameter file, by its path in the repository -> its sections.
FILES = {"params.yaml": SECTIONS, "szn/params.yaml": SZN_SECTIONS, "zsi/params.yaml": ZSI_SECTIONS}


def check(path: str | pathlib.Path) -> None:
    """Load every section of the parameter file at `path`, and check what one value asks of others.

    Raises:
        params.ParamsError: with all errors of all sections, and the unknown sections.
    """
    loaded = _load(path, SECTIONS)
    _refuse(path, [*_pretraining(loaded["backbone"], "backbone"), *_classes(loaded), *_cross_validation(loaded)])


def check_szn(path: str | pathlib.Path, main: str | pathlib.Path) -> None:
    """Do as `check` does for the parameters of SZN; the rules of its seen mask are named here, before the network is trained.

    Args:
        path: szn/params.yaml.
        main: the parameter file of the main pipeline, whose section `data` SZN uses.

    Raises:
        params.ParamsError: with all errors of all sections, and the unknown sections.
    """
    loaded = _load(path, SZN_SECTIONS)
    data = params.load(main, "data", layout.Params)
    _refuse(
        path,
        [
            *_pretraining(loaded["network"], "network"),
            *_reduction(loaded["embeddings"], loaded["pca"]),
            *_seen_mask(loaded, data),
        ],
    )


def check_zsi(path: str | pathlib.Path) -> None:
    """Load every section of the parameters of ZSI, zsi/params.yaml.

    Raises:
        params.ParamsError: with all errors of all sections, and the unknown sections.
    """
    loaded = _load(path, ZSI_SECTIONS)
    faults = _pretraining(loaded["detector"], "detector")
    if loaded["gmmn"].generator == "graph":
        faults.append(
            "gmmn.generator: is graph, which learns from masks around a pixel, and regions have none; set it to mlp or gan"
        )
    data = loaded["data"]
    if loaded["evaluation"].generalised_images == "with_unseen" and not data.published and not data.unseen:
        faults.append(instance_metrics.NO_UNSEEN_OBJECT)
    _refuse(path, faults)


def check_files(
    path: str | pathlib.Path, keys: Sequence[str] = ("backbone.weights", "data.root", "embeddings.path")
) -> None:
    """Check that the files and folders that keys name exist, unless a stage makes them.

    Raises:
        params.ParamsError: with all that do not.
    """
    named = {key: pathlib.Path(params.data_path(path, key)) for key in keys}
    # The output of make_toy.
    made = pathlib.Path("data/toy")
    _refuse(
        path,
        [
            f"{key}: {file} does not exist; see docs/datasets.md"
            for key, file in named.items()
            if not file.exists() and not file.is_relative_to(made)
        ],
    )


def _load(path: str | pathlib.Path, classes: Mapping[str, type]) -> dict[str, Any]:
    """Return every section of the file by name; one error names all faults and the unknown sections."""
    faults, loaded = [], {}
    for name, cls in classes.items():
        try:
            loaded[name] = params.load(path, name, cls)
        except params.ParamsError as error:
            faults.append(str(error))
    unknown = [name for name in params.read(path) if name not in classes]
    if unknown:
        faults.append(f"{path}: unknown sections: {', '.join(unknown)}; choose from {', '.join(classes)}")
    if faults:
        raise params.ParamsError("\n".join(faults))
    return loaded


def _refuse(path: str | pathlib.Path, faults: Sequence[str]) -> None:
    """Raise an error with a line for each fault of the file, if there is one."""
    if faults:
        raise params.ParamsError("\n".join(f"{path}: {fault}" for fault in faults))


def _pretraining(options: backbone.Params | network.Params | sections.Detector, section: str) -> list[str]:
    """Return the fault of the key `pretraining` of a network's section, if it cannot be true of the weights."""
    try:
        pretraining.check(options.pretraining, pathlib.Path(options.weights), section)
    except errors.UserError as error:
        return [str(error)]
    return []


def _reduction(embeddings: class_embeddings.Params, pca: principal_components.Params) -> list[str]:
    """Return the fault of `pca.dim`, if the source of the vectors has no vocabulary."""
    try:
        principal_components.start(pca, embeddings.source, embeddings.path)
    except errors.UserError as error:
        return [str(error)]
    return []


def _seen_mask(loaded: Mapping[str, Any], data: layout.Params) -> list[str]:
    """Return the faults of the seen mask and of both calibrations, and of the roles of classes, as far as the class list is at hand yet."""
    options = loaded["seen_mask"]
    classes = lists.read_classes(pathlib.Path(data.root), data.classes, errors.Faults())
    try:
        n_unseen, n_train_unseen, n_train_seen = roles.count(loaded["split"], classes, data)
    except errors.UserError as error:
        return [str(error).removeprefix("szn/params.yaml: ")]
    faults = []
    if options.void == "unseen" and (not loaded["features"].ignored_pixels or data.drop_partly_labelled):
        faults.append(seen_mask.NO_IGNORED_PIXELS)
    if options.void == "unseen" and data.exclude == "pixels" and n_unseen:
        faults.append(seen_mask.UNSEEN_AMONG_IGNORED)
    if n_unseen and not n_train_unseen and options.void != "unseen":
        faults.append(seen_mask.NO_TRAIN_UNSEEN)
    joint = loaded["joint_embedding"]
    for key, enabled, role, without in (
        ("joint_embedding.hold_out", joint.calibrated, joint.hold_out, joint_embedding_bias.KEYS.without),
        (
            "seen_mask.calibration.hold_out",
            options.calibration.enabled,
            options.calibration.hold_out,
            seen_mask_folds.KEYS.without,
        ),
    ):
        held_out = n_train_unseen if role == "train_unseen" else n_train_seen
        if n_unseen and enabled and held_out is not None and held_out < folds.LEAST_CLASSES:
            faults.append(
                f"{key}: is {role}, which needs {folds.LEAST_CLASSES} {role} classes besides the background, "
                f"and section `split` leaves {max(0, held_out)}; {without}, or choose other classes"
            )
    return faults


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
