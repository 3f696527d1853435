"""The file of a trained detector: its parameters, its classes, its weights, and what metrics have to say of it."""

from typing import Any

import torch

from zeroshot.base import checkpoints, params
from zeroshot.datasets.instances import class_list
from zeroshot.zsi import detector as zsi_detector
from zeroshot.zsi import sections


class Checkpoint(checkpoints.Configured):
    """The file of a trained detector.

    Classes, category ids and labels are those of `class_list.InstanceClasses`. `facts` is what metrics have to say of the detector.
    """

    classes: list[str]
    category_ids: list[int | None]
    seen: list[int]
    unseen: list[int]
    facts: dict[str, Any]
    network: dict[str, torch.Tensor]


def checkpoint(
    detector: zsi_detector.Detector, options: sections.Detector, classes: class_list.InstanceClasses
) -> dict[str, Any]:
    """Return the entries of `Checkpoint`."""
    return {
        "config": params.to_dict(options),
        "classes": list(classes.classes),
        "category_ids": list(classes.category_ids),
        "seen": list(classes.seen),
        "unseen": list(classes.unseen),
        "facts": {
            "encoder": options.encoder,
            "pretraining": options.pretraining,
            "background_aware_rpn": options.rpn.background_aware,
            "sync_background": params.to_dict(options.sync_background),
            "regression": options.box_head.regression,
            "reconstruction": {"box": options.box_head.reconstruction, "mask": options.mask_head.reconstruction},
        },
        "network": detector.state_dict(),
    }


def load(content: dict[str, Any]) -> tuple[zsi_detector.Detector, class_list.InstanceClasses]:
    """Rebuild a trained detector, in evaluation mode, and its classes from the entries of `Checkpoint`.

    Raises:
        errors.UserError: if the weights do not fit the configuration.
    """
    where = f"{sections.SECTION} checkpoint"
    options = params.build(content["config"], sections.Detector, sections.SECTION, where)
    names = ("classes", "category_ids", "seen", "unseen")
    classes = class_list.InstanceClasses(**{name: tuple(content[name]) for name in names})
    vectors = content["network"].get("box_head.vectors")
    if vectors is None:
        raise checkpoints.CheckpointError(f"{where}: its weights lack box_head.vectors")
    detector = zsi_detector.Detector(options, vectors, len(classes.seen))
    checkpoints.load_weights(detector, content["network"], where)
    return detector.eval(), classes
