"""What a fold of zero-shot cross-validation trained, and how it travels to the stage that goes on from it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.cross_validation import folds
from zeroshot.zs3net.generators import generator, registry


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """What was trained in one fold.

    Attributes:
        fold: its classes and images.
        generator: trained on the fold's seen classes.
        classifier: over the fold's seen and unseen classes, without a seen bias.
    """

    fold: folds.Fold
    generator: generator.Generator
    classifier: pixel_classifier.PixelClassifier


def save_dict(rehearsals: Sequence[Rehearsal]) -> dict[str, Any]:
    """Return rehearsals as plain values and tensors for a checkpoint."""
    return {
        "rehearsals": [
            {
                "held_out": list(done.fold.held_out),
                **{role: torch.from_numpy(getattr(done.fold, role)) for role in ("train", "unlabelled", "evaluation")},
                "gmmn": registry.save_dict(done.generator),
                "classifier": dataclasses.asdict(done.classifier),
            }
            for done in rehearsals
        ]
    }


def load_dict(checkpoint: dict[str, Any], device: torch.device) -> list[Rehearsal]:
    """Rebuild the rehearsals from what `save_dict` returned."""
    found = []
    for item in checkpoint["rehearsals"]:
        roles = {role: item[role].numpy() for role in ("train", "unlabelled", "evaluation")}
        fold = folds.Fold(tuple(item["held_out"]), **roles)
        trained = pixel_classifier.PixelClassifier(**item["classifier"]).to(device)
        found.append(Rehearsal(fold, registry.load_dict(item["gmmn"], device), trained))
    return found
