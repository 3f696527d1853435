"""The true instances of the evaluation images, with masks as run lengths and classes as labels."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import pydantic
import typing_extensions

from zeroshot.base import errors, text_files, user_files
from zeroshot.datasets import run_lengths
from zeroshot.datasets.instances import class_list


class _Image(typing_extensions.TypedDict):
    id: int
    file_name: str
    height: int
    width: int


class _Annotation(typing_extensions.TypedDict):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    segmentation: run_lengths.Compressed
    iscrowd: int


class _File(typing_extensions.TypedDict):
    images: list[_Image]
    annotations: list[_Annotation]


_FILE = pydantic.TypeAdapter(_File)


@dataclasses.dataclass(frozen=True)
class Image:
    """An evaluation image: its file, relative to the folder of the images, and its (height, width)."""

    file_name: str
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Instance:
    """A true instance.

    Attributes:
        image: id of the image.
        label: label of its class.
        box: [x, y, width, height] in pixels.
        mask: compressed run lengths.
        crowd: whether it is a region with many objects of the class, which counts neither as an object nor as a false detection.
    """

    image: int
    label: int
    box: tuple[float, float, float, float]
    mask: run_lengths.Compressed
    crowd: bool


@dataclasses.dataclass(frozen=True)
class Truth:
    """The evaluation images by id, and their instances in an order that does not depend on that of the file."""

    images: Mapping[int, Image]
    instances: Sequence[Instance]

    @property
    def sizes(self) -> dict[int, tuple[int, int]]:
        """The (height, width) of each image by id."""
        return {id: image.size for id, image in self.images.items()}

    def showing(self, labels: Sequence[int]) -> tuple[int, ...]:
        """Return the ids of the images with an object of one of the classes, in ascending order; a crowd region is no object."""
        wanted = set(labels)
        return tuple(sorted({one.image for one in self.instances if one.label in wanted and not one.crowd}))


def read(path: str | pathlib.Path, classes: class_list.InstanceClasses) -> Truth:
    """Read a file in COCO's layout that was prepared for evaluation.

    Args:
        path: the file.
        classes: the classes of all its categories.

    Raises:
        errors.UserError: if it is no such file, or an annotation is of another class or image.
    """
    try:
        text_files.check_regular(path)
        content = _FILE.validate_json(pathlib.Path(path).read_bytes())
    except text_files.TextError as error:
        cause = error.cause
    except OSError as error:
        cause = error.strerror
    except pydantic.ValidationError as error:
        cause = "; ".join(errors.describe(error))
    else:
        return _truth(path, content, classes)
    raise errors.UserError(f"{path}: is no file of instances in COCO's layout ({cause}); {user_files.REMEDY}")


def _truth(path: str | pathlib.Path, content: _File, classes: class_list.InstanceClasses) -> Truth:
    images = {one["id"]: Image(one["file_name"], (one["height"], one["width"])) for one in content["images"]}
    labels = {classes.category_ids[label]: label for label in (*classes.seen, *classes.unseen)}
    faults = errors.Faults()
    instances = []
    for number, one in enumerate(content["annotations"]):
        image, label = images.get(one["image_id"]), labels.get(one["category_id"])
        if image is None:
            faults.add("the image is not in the file", f"annotations.{number}: image {one['image_id']}")
        if label is None:
            faults.add(
                "the category is no class of the data set", f"annotations.{number}: category {one['category_id']}"
            )
        if image is not None and label is not None:
            instances.append(Instance(one["image_id"], label, one["bbox"], one["segmentation"], bool(one["iscrowd"])))
    faults.raise_any(f"{path}, which `dvc repro zsi/dvc.yaml` makes again")
    instances.sort(key=lambda one: (one.image, one.label, one.crowd, tuple(one.box), one.mask["counts"]))
    return Truth(dict(sorted(images.items())), instances)
