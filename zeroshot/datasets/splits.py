"""The split of a dataset into seen and unseen classes and into image lists, as written by prepare_split.

Stages that run the network read only the part that they need, `Training` or `Images`. So a class that is added by its name alone, which
no image shows, leaves the network and its features as they are.

The seen classes have two roles: the network is trained on those of `train_seen`. It never sees those of `train_unseen`, though masks show
them, so they teach later stages what a class looks like that the network does not know.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

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
        classes: class names in label order; label 0 is the background, or a place holder where the data have none.
        seen: label ids in ascending order, with that of the background if there is one.
        unseen: label ids in ascending order; empty for a fully supervised run.
        exclude: how unseen classes are excluded from `train`: whole `images`, or their `pixels` (ignored).
        train: training images, whose written masks contain seen classes only; sorted by id.
        unlabelled: images of the training lists with an unseen class, and those that are listed without masks, sorted by id. Their masks
            are for reports, never for training.
        val: images for evaluation, with masks of all classes; sorted by id.
        train_unseen: label ids in ascending order, those of `seen` that the network is not trained on. Files of older versions lack
            this entry, and it is empty then.
    """

    classes: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    exclude: Literal["images", "pixels"]
    train: tuple[Item, ...]
    unlabelled: tuple[Item, ...]
    val: tuple[Item, ...]
    train_unseen: tuple[int, ...] = ()

    @property
    def train_seen(self) -> tuple[int, ...]:
        """The label ids of the classes that the network is trained on, in ascending order, with that of the background if there is one."""
        return tuple(label for label in self.seen if label not in self.train_unseen)


@pydantic.with_config(_CONFIG)
@dataclasses.dataclass(frozen=True)
class Training:
    """The part of a split for training the network (stage one of SZN).

    Attributes:
        seen: label ids of `Split.train_seen`, so without those of `train_unseen`.
        names: the name of each class of `seen`.
        exclude: as in `Split`; with `pixels`, masks of these images may show classes of `train_unseen`, which are to be ignored.
        train: the images of `Split.train` that this training may use (`partition.stage_one`), sorted by id.
        side: the median of the longest sides of these images in pixels.
        sha256: path of each image, as in `Item.image` -> the checksum of its file.
    """

    seen: tuple[int, ...]
    names: tuple[str, ...]
    exclude: Literal["images", "pixels"]
    train: tuple[Item, ...]
    side: int
    sha256: Mapping[str, str]


@pydantic.with_config(_CONFIG)
@dataclasses.dataclass(frozen=True)
class Images:
    """The part of a split for dumping features.

    Attributes:
        classes: class names in label order, up to the last class that is seen or has a pixel in a mask.
        seen: label ids in ascending order, with that of the background if there is one.
        train, unlabelled, val: as in `Split`.
        sha256: path of each image, as in `Item.image` -> the checksum of its file.
    """

    classes: tuple[str, ...]
    seen: tuple[int, ...]
    train: tuple[Item, ...]
    unlabelled: tuple[Item, ...]
    val: tuple[Item, ...]
    sha256: Mapping[str, str]


Part = TypeVar("Part", Split, Training, Images)


def training_part(split: Split, stage_one: Sequence[Item], side: int, sha256: Mapping[str, str]) -> Training:
    """Return the part for training the network.

    Args:
        split: the split.
        stage_one: `train` of the part; all of `split.train` if there are no classes of `train_unseen`.
        side: `side` of the part.
        sha256: path of each image -> the checksum of its file; those of other images are left out.
    """
    return Training(
        split.train_seen,
        tuple(split.classes[label] for label in split.train_seen),
        split.exclude,
        tuple(stage_one),
        side,
        {item.image: sha256[item.image] for item in stage_one},
    )


def images_part(split: Split, shown: Iterable[int], sha256: Mapping[str, str]) -> Images:
    """Return the part for dumping features.

    Args:
        split: the split.
        shown: label ids with a pixel in a mask.
        sha256: path of each image of the split -> the checksum of its file.
    """
    n_classes = 1 + max([*split.seen, *shown])
    return Images(split.classes[:n_classes], split.seen, split.train, split.unlabelled, split.val, dict(sha256))


def check_all_learnt(split: Split, stage: str) -> None:
    """Check that a stage may train a network on all seen classes.

    Raises:
        errors.UserError: if the split has train_unseen classes, which no network learns.
    """
    if split.train_unseen:
        raise errors.UserError(
            f"{stage}: trains a network on all seen classes, and no network may learn those of data.train_unseen"
            f" ({', '.join(split.classes[label] for label in split.train_unseen)}); set data.train_unseen: []"
        )


def read(path: str | pathlib.Path) -> Split:
    """Read a split made by `write`.

    Raises:
        errors.UserError: if the file is missing or is not a split; the text names the wrong entries.
    """
    return _read(path, Split)


def read_training(path: str | pathlib.Path) -> Training:
    """Read a part made by `write`; the errors are those of `read`."""
    return _read(path, Training)


def read_images(path: str | pathlib.Path) -> Images:
    """Read a part made by `write`; the errors are those of `read`."""
    return _read(path, Images)


def _read(path: str | pathlib.Path, part: type[Part]) -> Part:
    try:
        found = pydantic.TypeAdapter(part).validate_json(text_files.read(path))
        cause = _fault(found)
    except pydantic.ValidationError as error:
        found, cause = None, "; ".join(errors.describe(error))
    except text_files.TextError as error:
        found, cause = None, error.cause
    if found is None or cause:
        kind = "a split" if part is Split else f"the part of a split for {part.__name__.lower()}"
        raise errors.UserError(
            f"{path}: is not {kind} ({cause}); make it with `dvc repro prepare_split`, that of SZN with `dvc repro szn/dvc.yaml:split`"
        )
    return found


def _fault(part: Split | Training | Images) -> str | None:
    """Return what is wrong with the label ids, or None."""
    labels = [*part.seen, *(part.unseen if isinstance(part, Split) else ())]
    if len(set(labels)) < len(labels):
        return "seen, unseen: contain a label id twice"
    if isinstance(part, Training):
        return (
            None if len(part.names) == len(labels) else f"names: there are {len(part.names)} of {len(labels)} classes"
        )
    if not all(0 <= label < len(part.classes) for label in labels):
        return f"seen, unseen: contain a label id that is not one of {len(part.classes)} classes"
    if isinstance(part, Split):
        if len(set(part.train_unseen)) < len(part.train_unseen):
            return "train_unseen: contains a label id twice"
        if not set(part.train_unseen) <= set(part.seen):
            return "train_unseen: contains a label id that is not in seen"
    return None


def write(path: str | pathlib.Path, part: Split | Training | Images) -> None:
    """Write a split or a part of one as JSON, atomically."""
    storage.write_json(path, dataclasses.asdict(part))


def roles(split: Split) -> dict[str, Any]:
    """Return the entries of a checkpoint about classes: names, label ids of each role, and the policy of exclusion."""
    lists = {name: list(getattr(split, name)) for name in ("classes", "seen", "train_unseen", "unseen")}
    return {**lists, "exclude": split.exclude}
