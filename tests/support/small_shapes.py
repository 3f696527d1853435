"""Parameters of a generated data set of instances with a few small images."""

from zeroshot.base import params
from zeroshot.datasets.shapes import arrangements

SETTINGS = {
    "seed": 3,
    "n_train": 5,
    "n_val": 3,
    "image_size": 64,
    "min_objects": 2,
    "max_objects": 4,
    "min_diameter": 18,
    "max_diameter": 30,
    "sentences": 40,
}


def settings(**changes: int) -> arrangements.Params:
    """Return the section `shapes` of a small data set, updated by `changes`."""
    return params.build(SETTINGS | changes, arrangements.Params, "shapes")
