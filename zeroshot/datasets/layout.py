"""Finding the images and masks of a dataset in VOC's layout, with or without SBD, and with its own or converted masks."""

import dataclasses
import pathlib
from typing import Annotated, Literal

import pydantic

from zeroshot.base import errors, params
from zeroshot.datasets import published
from zeroshot.images import label_ids

IMAGES = "JPEGImages"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
MASK_SUFFIX = ".png"


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
    exclude: Literal["images", "pixels"]
    n_unseen: Literal[0, 2, 4, 6, 8, 10] | None
    unseen: tuple[str, ...] | None
    train_list: Inside
    val_list: Inside
    train_masks: Inside | None
    val_masks: Inside | None
    sbd: Inside | None

    @pydantic.field_validator("unseen")
    @classmethod
    def _given_if_no_n_unseen(
        cls, unseen: tuple[str, ...] | None, info: pydantic.ValidationInfo
    ) -> tuple[str, ...] | None:
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
    """Return the names of the unseen classes in order: those in `unseen`, or the first `n_unseen` published ones."""
    if settings.unseen is not None:
        return settings.unseen
    return published.DATASETS[settings.classes].unseen[: settings.n_unseen] if settings.n_unseen else ()


@dataclasses.dataclass(frozen=True)
class Entry:
    """One listed image.

    Attributes:
        id: the id in the list.
        image: POSIX path of the image, relative to the data root.
        mask: path of the mask.
    """

    id: str
    image: str
    mask: pathlib.Path


def read_classes(root: pathlib.Path, name: str, faults: errors.Faults) -> tuple[str, ...]:
    """Return the class names in label order.

    Args:
        root: the data root.
        name: a published dataset (`voc` or `context`), or a file below the data root.
        faults: receives the faults in the file.

    Returns:
        the class names; empty if the file cannot be read.
    """
    if name in published.DATASETS:
        return published.DATASETS[name].classes
    lines = _read_lines(root, name, faults)
    kind = "class list must have one name per line, the background in line 0, and no name twice"
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines):
        if not line:
            faults.add(kind, f"{name}: line {number} is empty")
        elif first_lines.setdefault(line, number) != number:
            faults.add(kind, f"{name}: `{line}` is on lines {first_lines[line]} and {number}")
    if lines and not 2 <= len(lines) <= label_ids.MAX_CLASSES:
        faults.add(kind, f"{name}: {len(lines)} classes; label ids allow 2 to {label_ids.MAX_CLASSES}")
    return tuple(lines)


def find_train(root: pathlib.Path, labels: pathlib.Path, settings: Params, faults: errors.Faults) -> list[Entry]:
    """Find the images of the training list and those that SBD adds, with their masks.

    A mask is searched in `train_masks`. If `train_masks` is None, or SBD is used and the mask is not there, the converted mask in `labels`
    is used. Ids of the validation list are removed from SBD's list, as in the published protocol. In the training list they are a fault.

    Args:
        root: the data root.
        labels: folder of converted masks.
        settings: section `data`.
        faults: receives the faults in the lists and missing files.

    Returns:
        the entries, sorted by id.
    """
    train_ids = _read_ids(root, settings.train_list, faults)
    # `find_val` reports the faults in the validation list.
    val_ids = set(_read_ids(root, settings.val_list, errors.Faults()))
    for name in train_ids:
        if name in val_ids:
            faults.add("listed for both training and validation", f"{name}: {settings.train_list}, {settings.val_list}")
    mask_folders = [root / settings.train_masks] if settings.train_masks else []
    image_folders = [root / IMAGES]
    if settings.sbd is not None:
        sbd_ids = _read_ids(root, f"{settings.sbd}/train_noval.txt", faults)
        train_ids = sorted({*train_ids, *(name for name in sbd_ids if name not in val_ids)})
        image_folders.append(root / settings.sbd / "img")
    if settings.sbd is not None or not mask_folders:
        mask_folders.append(labels)
    return _find(root, train_ids, image_folders, mask_folders, faults)


def find_val(root: pathlib.Path, labels: pathlib.Path, settings: Params, faults: errors.Faults) -> list[Entry]:
    """Find the images of the validation list with their masks, sorted by id. Without `val_masks`, masks are searched in `labels`."""
    val_ids = _read_ids(root, settings.val_list, faults)
    return _find(root, val_ids, [root / IMAGES], [root / settings.val_masks if settings.val_masks else labels], faults)


def _read_lines(root: pathlib.Path, name: str, faults: errors.Faults) -> list[str]:
    try:
        text = (root / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        faults.add("unreadable list", f"{name}: {error.strerror if isinstance(error, OSError) else 'not UTF-8 text'}")
        return []
    if not text.strip():
        faults.add("empty list", name)
        return []
    return [line.strip() for line in text.rstrip().splitlines()]


def _read_ids(root: pathlib.Path, name: str, faults: errors.Faults) -> list[str]:
    """Return the valid ids of a list, sorted and without duplicates."""
    lines = _read_lines(root, name, faults)
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line in first_lines:
            faults.add("id listed twice", f"{name}: `{line}` on lines {first_lines[line]} and {number}")
        elif line:
            first_lines[line] = number
    unsafe = [id for id in first_lines if id.startswith(".") or "/" in id or "\\" in id or not id.isprintable()]
    for id in unsafe:
        faults.add(
            "id must be a plain file name (no folder, no leading dot, no control character)",
            f"{name}: {id!r} on line {first_lines[id]}",
        )
    return sorted(first_lines.keys() - set(unsafe))


def _find(
    root: pathlib.Path,
    ids: list[str],
    image_folders: list[pathlib.Path],
    mask_folders: list[pathlib.Path],
    faults: errors.Faults,
) -> list[Entry]:
    """Look up every id in the folders, in order of folders and then of suffixes; the first match is used."""
    images = _index(image_folders, IMAGE_SUFFIXES)
    masks = _index(mask_folders, (MASK_SUFFIX,))
    entries = []
    for id in ids:
        if id not in images:
            faults.add(f"no image {_patterns(image_folders, IMAGE_SUFFIXES)}", id)
        if id not in masks:
            faults.add(f"no mask {_patterns(mask_folders, (MASK_SUFFIX,))}; masks of other formats: see `labels`", id)
        if id in images and id in masks:
            entries.append(Entry(id, images[id].relative_to(root).as_posix(), masks[id]))
    return entries


def _index(folders: list[pathlib.Path], suffixes: tuple[str, ...]) -> dict[str, pathlib.Path]:
    """Map the id of every file in `folders` to its path."""
    paths: dict[str, pathlib.Path] = {}
    for folder in folders:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        for suffix in suffixes:
            for name in names:
                if name.lower().endswith(suffix):
                    paths.setdefault(name[: -len(suffix)], folder / name)
    return paths


def _patterns(folders: list[pathlib.Path], suffixes: tuple[str, ...]) -> str:
    return " or ".join(f"{folder}/<id>{'|'.join(suffixes)}" for folder in folders)
