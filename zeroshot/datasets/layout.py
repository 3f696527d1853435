"""Finding the files of a dataset in VOC's on-disk layout, with or without SBD beside it and with masks in it or converted."""

import dataclasses
import pathlib
from typing import Annotated, Literal

import pydantic

from zeroshot.base import errors, params
from zeroshot.datasets import published

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


@dataclasses.dataclass(frozen=True)
class Entry:
    """One listed image.

    Attributes:
        id: as in the list.
        image: posix path of its picture, relative to the data root.
        mask: path of its mask.
    """

    id: str
    image: str
    mask: pathlib.Path


def read_classes(root: pathlib.Path, name: str, found: errors.Faults) -> tuple[str, ...]:
    """Return the class names in label order, of a published dataset or from a file; empty if the file is unusable."""
    if name in published.DATASETS:
        return published.DATASETS[name].classes
    lines = _read_lines(root, name, found)
    kind = "class list must hold one name per line, line 0 the background, none twice"
    for number, line in enumerate(lines):
        if not line:
            found.add(kind, f"{name}: line {number} is empty")
        elif line in lines[:number]:
            found.add(kind, f"{name}: `{line}` stands on lines {lines.index(line)} and {number}")
    if lines and not 2 <= len(lines) <= 255:
        found.add(kind, f"{name}: {len(lines)} classes; label ids allow 2 to 255")
    return tuple(lines)


def find_train(root: pathlib.Path, labels: pathlib.Path, settings: Params, found: errors.Faults) -> list[Entry]:
    """Find the images of the training list, and those that SBD adds, with their masks; sorted by id.

    Masks are those of `train_masks`, and the converted ones in `labels` where that is None or has none and SBD is used.
    Ids of the validation list are dropped from SBD's part, as the published protocol does; in the training list itself
    they are a fault.
    """
    listed = _read_ids(root, settings.train_list, found)
    evaluated = set(_read_ids(root, settings.val_list, errors.Faults()))
    for name in listed:
        if name in evaluated:
            found.add("listed for both training and validation", f"{name}: {settings.train_list}, {settings.val_list}")
    mask_folders = [root / settings.train_masks] if settings.train_masks else []
    image_folders = [root / IMAGES]
    if settings.sbd is not None:
        extra = _read_ids(root, f"{settings.sbd}/train_noval.txt", found)
        listed = sorted({*listed, *(name for name in extra if name not in evaluated)})
        image_folders.append(root / settings.sbd / "img")
    if settings.sbd is not None or not mask_folders:
        mask_folders.append(labels)
    return _find(root, listed, image_folders, mask_folders, found)


def find_val(root: pathlib.Path, labels: pathlib.Path, settings: Params, found: errors.Faults) -> list[Entry]:
    """Find the images of the validation list with their masks, of `val_masks` or else in `labels`; sorted by id."""
    listed = _read_ids(root, settings.val_list, found)
    return _find(root, listed, [root / IMAGES], [root / settings.val_masks if settings.val_masks else labels], found)


def _read_lines(root: pathlib.Path, name: str, found: errors.Faults) -> list[str]:
    try:
        text = (root / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found.add("unreadable list", f"{name}: {error.strerror if isinstance(error, OSError) else 'not UTF-8 text'}")
        return []
    if not text.strip():
        found.add("empty list", name)
        return []
    return [line.strip() for line in text.rstrip().splitlines()]


def _read_ids(root: pathlib.Path, name: str, found: errors.Faults) -> list[str]:
    """Return the usable ids of a list, sorted, each once."""
    lines = _read_lines(root, name, found)
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line in first_lines:
            found.add("id listed twice", f"{name}: `{line}` on lines {first_lines[line]} and {number}")
        elif line:
            first_lines[line] = number
    unsafe = [id for id in first_lines if id.startswith(".") or "/" in id or "\\" in id or not id.isprintable()]
    for id in unsafe:
        found.add(
            "id is no plain file name (no folder, no leading dot, no control character)",
            f"{name}: {id!r} on line {first_lines[id]}",
        )
    return sorted(first_lines.keys() - set(unsafe))


def _find(
    root: pathlib.Path,
    ids: list[str],
    image_folders: list[pathlib.Path],
    mask_folders: list[pathlib.Path],
    found: errors.Faults,
) -> list[Entry]:
    """Look every id up in the folders; the first folder and suffix that has it wins."""
    images = _index(image_folders, IMAGE_SUFFIXES)
    masks = _index(mask_folders, (MASK_SUFFIX,))
    entries = []
    for id in ids:
        if id not in images:
            found.add(f"no picture {_places(image_folders, IMAGE_SUFFIXES)}", id)
        if id not in masks:
            found.add(f"no mask {_places(mask_folders, (MASK_SUFFIX,))}; masks of other formats: see `labels`", id)
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


def _places(folders: list[pathlib.Path], suffixes: tuple[str, ...]) -> str:
    return " or ".join(f"{folder}/<id>{'|'.join(suffixes)}" for folder in folders)
