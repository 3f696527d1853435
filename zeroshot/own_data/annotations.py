"""What files of annotation tools say, whatever their format: classes, and for each image the regions of its objects."""

import dataclasses
import pathlib
from typing import TypeVar

import pydantic

from zeroshot.base import errors, text_files
from zeroshot.datasets import run_lengths

Content = TypeVar("Content")


@dataclasses.dataclass(frozen=True)
class Region:
    """The pixels of one annotation.

    Attributes:
        where: the file and the place in it, for messages.
        value: of its class in the class list.
        outline: polygons or run lengths.
    """

    where: str
    value: int
    outline: run_lengths.Outline


@dataclasses.dataclass(frozen=True)
class Outlines:
    """The annotations of one image.

    Attributes:
        where: the file and the place in it, for messages.
        size: height and width that the file gives for the image; None if it does not.
        regions: the annotations.
    """

    where: str
    size: tuple[int | None, int | None]
    regions: tuple[Region, ...]


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What the files say.

    Attributes:
        names: of the classes: the background, and the others. The place is the `value` of a region.
        outlines: id of each image with annotations -> these.
        lists: `train` and `val` -> ids, if the names of the files tell them.
    """

    names: list[str]
    outlines: dict[str, Outlines]
    lists: dict[str, list[str]]


def image_id(file_name: str) -> str:
    """Return the name of an image without folders, of Windows too, and without its suffix."""
    return text_files.normalise(pathlib.PureWindowsPath(file_name).stem)


def read_json(path: pathlib.Path, adapter: pydantic.TypeAdapter[Content], tool: str) -> Content:
    """Return the content of a JSON file.

    Raises:
        errors.UserError: if the file cannot be read, or has other content than the adapter's type.
    """
    try:
        return adapter.validate_json(text_files.read(path))
    except text_files.TextError as error:
        cause = error.cause
    except pydantic.ValidationError as error:
        cause = "; ".join(errors.describe(error))
    raise errors.UserError(f"{path}: is no file of {tool} ({cause}); mend it or move it away")
