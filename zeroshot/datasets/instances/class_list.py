"""The classes of a data set of instances: names, category ids and roles, in the order of the columns of class vectors.

A label is a position in this list. COCO's category ids have gaps and another order, so every file and every model goes through this list,
and none sorts ids.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence

import pydantic

from zeroshot.base import errors, storage, text_files
from zeroshot.images import label_ids

BACKGROUND = "background"


@dataclasses.dataclass(frozen=True)
class InstanceClasses:
    """Names, category ids and roles; the background is label 0, the seen classes follow, and the unseen ones are last.

    Attributes:
        classes: C class names in label order, the background first.
        category_ids: the category id of each label; None for the background.
        seen: labels of the seen classes, 1 to S.
        unseen: labels of the unseen classes, S + 1 to C - 1; empty for a fully supervised run.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int | None, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]

    def label_of(self, category_id: int) -> int:
        """Return the label of a category.

        Raises:
            KeyError: if no class has this category id.
        """
        return self._labels[category_id]

    @functools.cached_property
    def _labels(self) -> Mapping[int | None, int]:
        return {id: label for label, id in enumerate(self.category_ids) if label != label_ids.BACKGROUND}


class _File(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    classes: tuple[str, ...]
    category_ids: tuple[int | None, ...]
    unseen: tuple[int, ...]


def of_roles(seen: Sequence[tuple[str, int]], unseen: Sequence[tuple[str, int]]) -> InstanceClasses:
    """Return the list of seen and then unseen classes, each a pair of name and category id, in the given order."""
    listed = [*seen, *unseen]
    first = len(seen) + 1
    return InstanceClasses(
        (BACKGROUND, *(name for name, _ in listed)),
        (None, *(id for _, id in listed)),
        tuple(range(1, first)),
        tuple(range(first, len(listed) + 1)),
    )


def read(path: str | pathlib.Path) -> InstanceClasses:
    """Read a list made by `write`.

    Raises:
        errors.UserError: if the file is missing or is not such a list; the text names the wrong entries.
    """
    try:
        file = _File.model_validate_json(text_files.read(path))
        cause = _fault(file)
    except pydantic.ValidationError as error:
        file, cause = None, "; ".join(errors.describe(error))
    except text_files.TextError as error:
        file, cause = None, error.cause
    if file is None or cause:
        raise errors.UserError(
            f"{path}: is no list of classes ({cause}); make it with `dvc repro zsi/dvc.yaml:prepare`"
        )
    first = len(file.classes) - len(file.unseen)
    return InstanceClasses(file.classes, file.category_ids, tuple(range(1, first)), file.unseen)


def _fault(file: _File) -> str | None:
    """Return what is wrong with the entries, or None."""
    n = len(file.classes)
    if len(file.category_ids) != n:
        return f"category_ids: there are {len(file.category_ids)} of {n} classes"
    if not n or file.classes[0] != BACKGROUND or file.category_ids[0] is not None:
        return f"classes: must begin with `{BACKGROUND}`, which has the category id null"
    if None in file.category_ids[1:]:
        return "category_ids: null is only for the background"
    for name, values in (("classes", file.classes), ("category_ids", file.category_ids)):
        if len(set(values)) < n:
            return f"{name}: contain an entry twice"
    if file.unseen != tuple(range(n - len(file.unseen), n)) or len(file.unseen) >= n - 1:
        return (
            f"unseen: must be the last labels, in ascending order, and leave a seen class (found {list(file.unseen)})"
        )
    return None


def write(path: str | pathlib.Path, classes: InstanceClasses) -> None:
    """Write the list as JSON, atomically."""
    storage.write_json(
        path,
        {"classes": list(classes.classes), "category_ids": list(classes.category_ids), "unseen": list(classes.unseen)},
    )
