"""The split of a dataset into seen and unseen classes and into image lists, as written by prepare_split."""

import dataclasses
import json
import pathlib
from typing import Any, Literal

from zeroshot.base import errors, storage, text_files


@dataclasses.dataclass(frozen=True)
class Item:
    """One image.

    Attributes:
        id: the id, which is also the file name of the mask.
        image: POSIX path of the image, relative to the data root.
    """

    id: str
    image: str


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


def read(path: str | pathlib.Path) -> Split:
    """Read a split made by `write`.

    Raises:
        errors.UserError: if the file is missing or is not a split.
    """
    try:
        values = json.loads(text_files.read(path))
        for name in ("train", "unlabelled", "val"):
            values[name] = tuple(Item(**item) for item in values[name])
        for name in ("classes", "seen", "unseen"):
            values[name] = tuple(values[name])
        return Split(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise errors.UserError(
            f"{path}: is not a split ({type(error).__name__}: {error}); make it with `dvc repro prepare_split`"
        ) from error


def write(path: str | pathlib.Path, split: Split) -> None:
    """Write `split` as JSON, atomically."""
    storage.write_json(path, dataclasses.asdict(split))


def roles(split: Split) -> dict[str, Any]:
    """Return the entries of a checkpoint about classes: names, seen and unseen label ids, and the policy of exclusion."""
    lists = {name: list(getattr(split, name)) for name in ("classes", "seen", "unseen")}
    return {**lists, "exclude": split.exclude}
