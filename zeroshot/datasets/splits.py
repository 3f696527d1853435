"""How a dataset is split into seen and unseen classes and into image lists, for the stages after prepare_split."""

import dataclasses
import json
import pathlib
from typing import Any, Literal

from zeroshot.base import errors, storage


@dataclasses.dataclass(frozen=True)
class Item:
    """One image: its id, which also names its mask, and the posix path of its picture relative to the data root."""

    id: str
    image: str


@dataclasses.dataclass(frozen=True)
class Split:
    """Which classes are unseen, and which images are for what. It holds nothing about pixels of unseen classes.

    Attributes:
        classes: names in label order; label 0 is the background.
        seen: label ids in ascending order, the background among them.
        unseen: label ids in ascending order; empty for a fully supervised run.
        exclude: what keeps unseen classes out of `train`: whole `images`, or their `pixels` (set to 255).
        train: images whose masks hold seen classes only; sorted by id, as are the others.
        unlabelled: images of the training lists with an unseen class; their masks are for reports, never for training.
        val: images for evaluation, with masks of all classes.
    """

    classes: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    exclude: Literal["images", "pixels"]
    train: tuple[Item, ...]
    unlabelled: tuple[Item, ...]
    val: tuple[Item, ...]


def read(path: str | pathlib.Path) -> Split:
    """Read a split that `write` made.

    Raises:
        ValueError: if the file is missing or is no split.
    """
    try:
        values = json.loads(pathlib.Path(path).read_text())
        for name in ("train", "unlabelled", "val"):
            values[name] = tuple(Item(**item) for item in values[name])
        for name in ("classes", "seen", "unseen"):
            values[name] = tuple(values[name])
        return Split(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.UserError(
            f"{path}: is not a split ({type(error).__name__}: {error}); make it with `dvc repro prepare_split`"
        ) from error


def write(path: str | pathlib.Path, split: Split) -> None:
    """Write `split` as JSON, whole or not at all."""
    storage.write_json(path, dataclasses.asdict(split))


def roles(split: Split) -> dict[str, Any]:
    """Return what a model file says of its classes: their names, which are seen and unseen, and how images were excluded."""
    lists = {name: list(getattr(split, name)) for name in ("classes", "seen", "unseen")}
    return {**lists, "exclude": split.exclude}
