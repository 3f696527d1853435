"""Parameters of a generated data set of a few small images."""

from zeroshot.base import params
from zeroshot.datasets.toy import scenes

SETTINGS = {"seed": 3, "n_train": 5, "n_val": 3, "image_size": 64, "max_objects": 3, "context": 0.0, "sentences": 40}


def settings(**changes: float) -> scenes.Params:
    """Return the section `toy` of a small data set, updated by `changes`."""
    return params.build(SETTINGS | changes, scenes.Params, "toy")
