"""The parameters of a dataset laid out like Pascal VOC, and the names that they choose."""

import pathlib
from typing import Annotated, Literal

import pydantic

from zeroshot.base import params
from zeroshot.datasets import published


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
    classes: Inside
    train_list: Inside
    val_list: Inside
    train_masks: Inside | None
    val_masks: Inside | None
    sbd: Inside | None
    n_unseen: Literal[0, 2, 4, 6, 8, 10] | None
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
        if n_unseen and info.data.get("classes", "voc") not in published.DATASETS:
            raise ValueError(
                f"must list the names where `classes` is a file; n_unseen has lists for {' and '.join(published.DATASETS)} only"
            )
        return unseen


def unseen_names(settings: Params) -> tuple[str, ...]:
    """Return the names of the unseen classes, published or listed, in that order."""
    if settings.unseen is not None:
        return settings.unseen
    return published.DATASETS[settings.classes].unseen[: settings.n_unseen] if settings.n_unseen else ()
