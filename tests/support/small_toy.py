"""Settings of a generated dataset of a few small pictures."""

from zeroshot.base import params
from zeroshot.datasets.toy import scenes

SETTINGS = {"seed": 3, "n_train": 5, "n_val": 3, "image_size": 64, "max_objects": 3, "context": 0.0, "sentences": 40}


def settings(**changes: float) -> scenes.Params:
    """Return small settings, changed where a test asks."""
    return params.build(SETTINGS | changes, scenes.Params, "toy")
