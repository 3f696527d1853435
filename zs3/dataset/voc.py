"""Pascal VOC 2012 as published (classes, unseen lists), and the parameters of a dataset laid out like it."""

import pathlib
from typing import Annotated, Literal

import pydantic

from zs3 import params

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
# The cumulative splits of Bucher et al. 2019 on VOC: each K takes the first K of these.
UNSEEN = ("cow", "motorbike", "aeroplane", "sofa", "cat", "tvmonitor", "train", "bottle", "chair", "pottedplant")


def _relative(text: str) -> str:
    path = pathlib.PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text:
        raise ValueError("must be a path inside the data root, relative to it, without `..`")
    return text


Inside = Annotated[str, pydantic.AfterValidator(_relative)]


@params.section
class Params:
    """The `data` section of params.yaml."""

    root: str
    classes: Inside | None
    train_list: Inside
    val_list: Inside
    train_masks: Inside
    val_masks: Inside
    sbd: Inside | None
    n_unseen: Literal[2, 4, 6, 8, 10] | None
    unseen: tuple[str, ...] | None
    exclude: Literal["images", "pixels"]

    @pydantic.field_validator("unseen")
    @classmethod
    def _one_of_two(cls, unseen: tuple[str, ...] | None, info: pydantic.ValidationInfo) -> tuple[str, ...] | None:
        if "n_unseen" not in info.data:
            return unseen
        n_unseen = info.data["n_unseen"]
        if n_unseen is not None and unseen is not None:
            raise ValueError(f"must be null where n_unseen is given (n_unseen is {n_unseen})")
        if n_unseen is None and unseen is None:
            raise ValueError("must be a list of class names where n_unseen is null ([] for no unseen class)")
        if n_unseen is not None and info.data.get("classes") is not None:
            raise ValueError(
                "must list the names where `classes` is given; n_unseen stands for VOC's published classes"
            )
        return unseen


def unseen_names(settings: Params) -> tuple[str, ...]:
    """Return the names of the unseen classes, published or listed, in that order."""
    return UNSEEN[: settings.n_unseen] if settings.unseen is None else settings.unseen
