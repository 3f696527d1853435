"""Sections of params.yaml for quick tests: stages after the dump take under a second on the data of tests/support/pixel_world.py."""

from typing import Any

from zeroshot.base import params
from zeroshot.zs3net.classifiers import baselines, fine_tuning, self_training
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import selection


def gmmn_section(**changes: Any) -> dict[str, Any]:
    """Return a section `gmmn` that trains in a fraction of a second."""
    return {
        "generator": "mlp",
        "hidden_dim": 32,
        "noise_dim": 8,
        "noise": "gaussian",
        "dropout": 0.0,
        "sampling_dropout": False,
        "output": "relu",
        "precision": "float32",
        "bandwidths": [0.25, 0.5, 1.0, 2.0, 4.0],
        "kernel": "median",
        "estimator": "unbiased",
        "pool_per_class": 60,
        "batch_per_class": 16,
        "epochs": 3,
        "steps_per_epoch": 40,
        "lr": 0.01,
        "graph": {
            "masks": "data/pretrained/none",
            "skip": True,
            "context_weight": 1.0,
            "near": 2,
            "contexts_per_class": 8,
        },
        "gan": {
            "critic_hidden_dim": 32,
            "critic_steps": 3,
            "gradient_penalty": 10.0,
            "classification": 0.01,
            "lr": 0.005,
        },
        "seed": 0,
    } | changes


def gmmn_options(**changes: Any) -> registry.Params:
    """Return the parameters of `gmmn_section`."""
    return params.build(gmmn_section(**changes), registry.Params, "gmmn")


def classifier_section(**changes: Any) -> dict[str, Any]:
    """Return a section `classifier` that trains in a fraction of a second."""
    return {
        "trained_rows": "all",
        "init": "backbone",
        "class_balance": 0.5,
        "synthetic_ratio": 1.0,
        "synthetic_unit": "seen_class",
        "unseen_weight": 1.0,
        "among_unseen": 0.0,
        "distillation": 0.0,
        "pool_per_class": 60,
        "batch_size": 128,
        "epochs": 2,
        "steps_per_epoch": 60,
        "optimizer": "adamw",
        "lr": 0.02,
        "weight_decay": 0.0001,
        "calibration": {"enabled": True, "folds": 2, "held_out": 2, "biases": [0, 1, 2, 3, 4, 6, 20]},
        "side_window": 1,
        "seed": 0,
    } | changes


def classifier_options(**changes: Any) -> fine_tuning.Params:
    """Return the parameters of `classifier_section`."""
    return params.build(classifier_section(**changes), fine_tuning.Params, "classifier")


def pseudo_labels_section(**changes: Any) -> dict[str, Any]:
    """Return a section `pseudo_labels`."""
    return {"rule": "per_image", "p": 50.0, "min_confidence": 0.0, "classes": "unseen"} | changes


def pseudo_labels_options(**changes: Any) -> selection.Params:
    """Return the parameters of `pseudo_labels_section`."""
    return params.build(pseudo_labels_section(**changes), selection.Params, "pseudo_labels")


def self_training_section(**changes: Any) -> dict[str, Any]:
    """Return a section `self_training` that trains in a fraction of a second."""
    return {
        "rounds": 1,
        "trained_rows": "all",
        "class_balance": 0.5,
        "pseudo_ratio": 1.0,
        "synthetic_ratio": 0.5,
        "pool_per_class": 60,
        "batch_size": 128,
        "epochs": 2,
        "steps_per_epoch": 60,
        "lr": 0.02,
        "weight_decay": 0.0001,
        "biases": [0, 1, 2, 3, 4, 6, 20],
        "seed": 0,
    } | changes


def self_training_options(**changes: Any) -> self_training.Params:
    """Return the parameters of `self_training_section`."""
    return params.build(self_training_section(**changes), self_training.Params, "self_training")


def baseline_section(**changes: Any) -> dict[str, Any]:
    """Return a section `baseline` that trains in a fraction of a second."""
    return {
        "devise": {"lr": 0.02, "calibrated": False},
        "ale": {"lr": 0.02, "calibrated": False},
        "spnet": {"lr": 0.02, "calibrated": True},
        "class_balance": 0.5,
        "pool_per_class": 60,
        "batch_size": 128,
        "epochs": 2,
        "steps_per_epoch": 60,
        "weight_decay": 0.0001,
        "folds": 2,
        "held_out": 2,
        "side_window": 1,
        "biases": [0, 0.25, 0.5, 0.75, 1, 1.5, 4],
        "seed": 0,
    } | changes


def baseline_options(**changes: Any) -> baselines.Params:
    """Return the parameters of `baseline_section`."""
    return params.build(baseline_section(**changes), baselines.Params, "baseline")


def visualise_section(**changes: Any) -> dict[str, Any]:
    """Return a section `visualise` with one image of each unseen class; panels have the longer side of the images."""
    return {"images_per_class": 1, "min_share": 0.05, "seen_images": 1, "panel_side": 57, "seed": 0} | changes


def document(**sections: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a params.yaml for the stages after the dump; `sections` replace the quick ones."""
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"}
    defaults = {
        "gmmn": gmmn_section(),
        "classifier": classifier_section(),
        "pseudo_labels": pseudo_labels_section(),
        "self_training": self_training_section(),
        "baseline": baseline_section(),
        "evaluation": {"short_side": None, "absent_classes": "skip"},
    }
    return defaults | {"runtime": runtime} | sections
