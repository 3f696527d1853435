"""The keys of params.yaml that suit a prepared data set."""

import pathlib
from typing import Any

from zeroshot.own_data import report

# Folder of the image lists in VOC's layout, below the data root.
LIST_FOLDER = "ImageSets/Segmentation"


def of(out: pathlib.Path, summary: report.Summary) -> dict[str, Any]:
    """Return the keys of params.yaml that this data set needs, over the preset voc_small."""
    has_background = summary.numbering.has_background
    training = [summary.shown[id].keys() for id in summary.lists["train"] if id in summary.shown]
    seen = [label for label in range(1, len(summary.numbering.names)) if label not in summary.unseen]
    # With `images`, cross-validation could find no image that lacks a held-out class.
    everywhere = any(sum(label in of_image for of_image in training) > len(training) / 2 for label in seen)
    # Cross-validation holds out one class and trains on another.
    choices = {} if len(seen) > 1 else {"calibration": {"enabled": False}}
    baselines = {} if len(seen) > 1 else {name: {"calibrated": False} for name in ("devise", "ale", "spnet")}
    return {
        "data": {
            "root": out.as_posix(),
            "classes": "classes.txt",
            "background": "label_0" if has_background else None,
            "exclude": "pixels" if everywhere else "images",
            "n_unseen": None,
            "unseen": [summary.numbering.names[label] for label in summary.unseen],
            "train_list": f"{LIST_FOLDER}/train.txt",
            "val_list": f"{LIST_FOLDER}/val.txt",
            "unlabelled_list": f"{LIST_FOLDER}/unlabelled.txt" if summary.lists["unlabelled"] else None,
            "train_masks": "SegmentationClass",
            "val_masks": "SegmentationClass",
        },
        "embeddings": {
            "source": "glove",
            "path": "data/pretrained/none",
            "normalise": "unit",
            "background": "vector" if has_background else "zero",
        },
        "backbone": {"weights": "data/pretrained/IMAGENET1K_V1", "pretraining": "labels", "precision": "float32"},
        "features": {"precision": "float32"},
        **({"classifier": choices} if choices else {}),
        **({"baseline": baselines} if baselines else {}),
    }
