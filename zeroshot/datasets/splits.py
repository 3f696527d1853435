"""The split of a dataset into seen and unseen classes and into image lists, as written by prepare_split."""

import dataclasses
import pathlib
from typing import Any, Literal

import pydantic

from zeroshot.base import errors, storage, text_files

_CONFIG = pydantic.ConfigDict(extra="forbid", strict=True)


@pydantic.with_config(_CONFIG)
@dataclasses.dataclass(frozen=True)
class Item:
    """One image.

    Attributes:
        id: the id, which is also the file name of the mask.
        image: POSIX path of the image, relative to the data root.
    """

    id: str
    image: str


@pydantic.with_config(_CONFIG)
@dataclasses.dataclass(frozen=True)
class Split:
    """Roles of classes and images. It contains no information about the pixels of unseen classes.

    Attributes:
        classes: class names in label order; label 0 is the background.
        seen: label ids in ascending order, including the background.
        unseen: label ids in ascending order; empty for a fully supervised run.
        exclude: how unseen classes are excluded from `train`: whole `images`, or their `pixels` (ignored).
        train: training images, whose written masks contain seen classes only; sorted by id.
        unlabelled: images of the training lists with an unseen class, sorted by id. Their masks are for reports, never for training.
        val: images for evaluation, with masks of all classes; sorted by id.
    """

    classes: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    exclude: Literal["images", "pixels"]
    train: tuple[Item, ...]
    unlabelled: tuple[Item, ...]
    val: tuple[Item, ...]


_SPLIT = pydantic.TypeAdapter(Split)


def read(path: str | pathlib.Path) -> Split:
    """Read a split made by `write`.

    Raises:
        errors.UserError: if the file is missing or is not a split; the text names the wrong entries.
    """
    try:
        split = _SPLIT.validate_json(text_files.read(path))
        cause = _fault(split)
    except pydantic.ValidationError as error:
        split, cause = None, "; ".join(errors.describe(error))
    except text_files.TextError as error:
        split, cause = None, error.cause
    if split is None or cause:
        raise errors.UserError(f"{path}: is not a split ({cause}); make it with `dvc repro prepare_split`")
    return split


def _fault(split: Split) -> str | None:
    """Return what is wrong with the label ids, or None."""
    labels = [*split.seen, *split.unseen]
    if not all(0 <= label < len(split.classes) for label in labels):
        return f"seen, unseen: contain a label id that is not one of {len(split.classes)} classes"
    return "seen, unseen: contain a label id twice" if len(set(labels)) < len(labels) else None


def write(path: str | pathlib.Path, split: Split) -> None:
    """Write `split` as JSON, atomically."""
    storage.write_json(path, dataclasses.asdict(split))


def roles(split: Split) -> dict[str, Any]:
    """Return the entries of a checkpoint about classes: names, seen and unseen label ids, and the policy of exclusion."""
    lists = {name: list(getattr(split, name)) for name in ("classes", "seen", "unseen")}
    return {**lists, "exclude": split.exclude}
