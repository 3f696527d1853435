"""The file of one detector's instances on the evaluation images: a list for each protocol, in the layout of COCO's results."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pydantic
import typing_extensions

from zeroshot.base import errors, storage, text_files, user_files
from zeroshot.datasets import run_lengths
from zeroshot.datasets.instances import class_list

_STRICT = pydantic.ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")


class Detection(typing_extensions.TypedDict):
    """One detected instance; `bbox` is [x, y, width, height] in pixels, and a higher score is a surer one."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    image_id: int
    category_id: int
    score: float
    bbox: Annotated[list[float], pydantic.Field(min_length=4, max_length=4)]
    segmentation: run_lengths.Compressed


@dataclasses.dataclass(frozen=True)
class Detections:
    """What one detector with one scoring found in the evaluation images.

    Attributes:
        scoring: name of the scoring.
        facts: what the metrics have to say of the detector (its pretraining, box regression, ...), as plain values.
        zsi: detections if only unseen classes can be predicted (protocols ZSD and ZSI).
        gzsi: detections if all classes can be predicted (protocols GZSD and GZSI).
    """

    scoring: str
    facts: Mapping[str, Any]
    zsi: Sequence[Detection]
    gzsi: Sequence[Detection]


class _File(typing_extensions.TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    scoring: str
    facts: dict[str, Any]
    zsi: list[Detection]
    gzsi: list[Detection]


_FILE = pydantic.TypeAdapter(_File)


def write(path: str | pathlib.Path, detections: Detections) -> None:
    """Write detections as JSON, one detection a line; equal detections give equal bytes.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    parts = [
        f'"scoring": {json.dumps(detections.scoring)}',
        f'"facts": {json.dumps(dict(detections.facts), allow_nan=False)}',
    ]
    for protocol in ("zsi", "gzsi"):
        lines = ",\n".join(json.dumps(one, allow_nan=False) for one in getattr(detections, protocol))
        parts.append(f'"{protocol}": [\n{lines}\n]')
    with storage.writing(path) as file:
        file.write(("{\n" + ",\n".join(parts) + "\n}\n").encode())


def read(
    path: str | pathlib.Path, classes: class_list.InstanceClasses, sizes: Mapping[int, tuple[int, int]]
) -> Detections:
    """Read what `write` wrote.

    Args:
        path: the file.
        classes: the classes; `zsi` may have the categories of unseen classes only.
        sizes: id -> (height, width) of every evaluation image.

    Raises:
        errors.UserError: if it is no such file, or if detections are of other images or classes, or their masks or boxes are damaged;
            the text lists the faults by kind.
    """
    try:
        text_files.check_regular(path)
        # The file of a large data set is larger than `text_files.read` allows for a file of a user.
        content = _FILE.validate_json(pathlib.Path(path).read_bytes())
    except text_files.TextError as error:
        cause = error.cause
    except OSError as error:
        cause = error.strerror
    except pydantic.ValidationError as error:
        cause = "; ".join(errors.describe(error))
    else:
        _check(path, content, classes, sizes)
        return Detections(**content)
    raise errors.UserError(f"{path}: is no file of detections ({cause}); {user_files.REMEDY}")


def _check(
    path: str | pathlib.Path,
    content: _File,
    classes: class_list.InstanceClasses,
    sizes: Mapping[int, tuple[int, int]],
) -> None:
    """Refuse detections that do not fit the classes or the images."""
    unseen = {classes.category_ids[label] for label in classes.unseen}
    known = unseen | {classes.category_ids[label] for label in classes.seen}
    faults = errors.Faults()
    for protocol, allowed in (("zsi", unseen), ("gzsi", known)):
        for number, one in enumerate(content[protocol]):
            place = f"{protocol}.{number}"
            size = sizes.get(one["image_id"])
            if one["category_id"] not in allowed:
                kind = "the category is no unseen class" if protocol == "zsi" else "the category is no class"
                faults.add(f"{kind} of the data set", f"{place}: category {one['category_id']}")
            if min(one["bbox"][2:]) < 0:
                faults.add("the box has a negative width or height", f"{place}: {one['bbox']}")
            if size is None:
                faults.add("the image is no evaluation image", f"{place}: image {one['image_id']}")
            elif tuple(one["segmentation"]["size"]) != size:
                detail = f"{place}: image {one['image_id']} has {size}, the mask {one['segmentation']['size']}"
                faults.add("the mask has another size than its image", detail)
            else:
                try:
                    run_lengths.count({"size": size, "counts": one["segmentation"]["counts"]}, size)
                except run_lengths.OutlineError:
                    faults.add("the run lengths of the mask are damaged", f"{place}: image {one['image_id']}")
    faults.raise_any(f"{path}, which `dvc repro zsi/dvc.yaml` makes again")
