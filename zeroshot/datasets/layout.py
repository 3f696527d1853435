"""Finding the images and masks of a dataset in VOC's layout, with or without SBD, and with its own or converted masks."""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Iterable
from typing import Annotated, Literal

import pydantic

from zeroshot.base import errors, params, text_files, user_files
from zeroshot.datasets import lists, published

IMAGES = "JPEGImages"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
MASK_SUFFIX = ".png"
_SBD_LIST, _SBD_IMAGES = "train_noval.txt", "img"


def _relative(text: str) -> str:
    path = pathlib.PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text:
        raise ValueError("must be a path inside the data root, relative to it, without `..`")
    return text


Inside = Annotated[str, pydantic.AfterValidator(_relative)]
Name = Annotated[str, pydantic.AfterValidator(text_files.normalise)]


@params.section
class Params:
    """The `data` section of params.yaml."""

    root: params.DataPath
    classes: Inside
    background: Literal["label_0"] | None
    exclude: Literal["images", "pixels"]
    n_unseen: Literal[0, 2, 4, 6, 8, 10] | None
    unseen: tuple[Name, ...] | None
    train_unseen: tuple[Name, ...]
    train_list: Inside
    unlabelled_list: Inside | None
    val_list: Inside
    train_masks: Inside | None
    val_masks: Inside | None
    sbd: Inside | None
    drop_partly_labelled: bool

    @pydantic.field_validator("background")
    @classmethod
    def _null_if_the_classes_have_none(cls, background: str | None, info: pydantic.ValidationInfo) -> str | None:
        dataset = published.DATASETS.get(info.data.get("classes", ""))
        if dataset and not dataset.has_background and background:
            raise ValueError(f"must be null where classes is {info.data['classes']}, which has no background")
        return background

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
        listed = [name for name, dataset in published.DATASETS.items() if dataset.unseen]
        if n_unseen and (classes := info.data.get("classes", "voc")) not in listed:
            kind = classes if classes in published.DATASETS else "a file"
            raise ValueError(
                f"must list the names where `classes` is {kind}; n_unseen has lists for {' and '.join(listed)} only"
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
        id: the id in the list, normalised as `text_files.normalise` does.
        image: POSIX path of the image, relative to the data root.
        mask: path of the mask; None for an image of `unlabelled_list`.
    """

    id: str
    image: str
    mask: pathlib.Path | None


def check_links(root: pathlib.Path, names: Iterable[str | None], faults: errors.Faults) -> None:
    """Check that no folder below the data root is a symbolic link, as `user_files.linked_folders` explains.

    Args:
        root: the data root.
        names: paths of lists and folders, relative to the data root; None is skipped.
        faults: receives each link once.
    """
    for path, target in user_files.linked_folders(root, filter(None, names)).items():
        faults.add(
            f"folder that is a symbolic link: DVC would not notice changes behind it. Put the folder itself into {root}, or make "
            f"{root} as a whole a link",
            f"{path} -> {target}",
        )


def paths(settings: Params) -> list[str | None]:
    """Return the paths, relative to the data root, of all lists and folders that section `data` names."""
    sbd = [f"{settings.sbd}/{name}" for name in (_SBD_LIST, _SBD_IMAGES)] if settings.sbd else []
    classes = None if settings.classes in published.DATASETS else settings.classes
    lists = [settings.train_list, settings.unlabelled_list, settings.val_list]
    return [classes, *lists, IMAGES, settings.train_masks, settings.val_masks, *sbd]


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
    train_ids = lists.read_ids(root, settings.train_list, faults)
    # `find_val` reports the faults in the validation list.
    val_ids = set(lists.read_ids(root, settings.val_list, errors.Faults()))
    for name in train_ids:
        if name in val_ids:
            faults.add("listed for both training and validation", f"{name}: {settings.train_list}, {settings.val_list}")
    mask_folders = [root / settings.train_masks] if settings.train_masks else []
    image_folders = [root / IMAGES]
    if settings.sbd is not None:
        sbd_ids = lists.read_ids(root, f"{settings.sbd}/{_SBD_LIST}", faults)
        train_ids = sorted({*train_ids, *(name for name in sbd_ids if name not in val_ids)})
        image_folders.append(root / settings.sbd / _SBD_IMAGES)
    if settings.sbd is not None or not mask_folders:
        mask_folders.append(labels)
    return _find(root, train_ids, image_folders, mask_folders, faults)


def find_val(root: pathlib.Path, labels: pathlib.Path, settings: Params, faults: errors.Faults) -> list[Entry]:
    """Find the images of the validation list with their masks, sorted by id. Without `val_masks`, masks are searched in `labels`."""
    val_ids = lists.read_ids(root, settings.val_list, faults)
    return _find(root, val_ids, [root / IMAGES], [root / settings.val_masks if settings.val_masks else labels], faults)


def find_unlabelled(
    root: pathlib.Path, settings: Params, labelled_ids: Collection[str], faults: errors.Faults
) -> list[Entry]:
    """Find the images of `unlabelled_list`, sorted by id and without masks. An id of another list is a fault.

    Args:
        root: the data root.
        settings: section `data`.
        labelled_ids: the ids of the training and validation images.
        faults: receives the faults in the list and missing images.
    """
    if settings.unlabelled_list is None:
        return []
    ids = lists.read_ids(root, settings.unlabelled_list, faults)
    for id in ids:
        if id in labelled_ids:
            faults.add("listed as unlabelled, and also for training or validation", f"{settings.unlabelled_list}: {id}")
    return _find(root, ids, [root / IMAGES], None, faults)


def _find(
    root: pathlib.Path,
    ids: list[str],
    image_folders: list[pathlib.Path],
    mask_folders: list[pathlib.Path] | None,
    faults: errors.Faults,
) -> list[Entry]:
    """Look up every id in the folders, in order of folders and then of suffixes; the first match is used. None: no masks are needed."""
    images = _index(image_folders, IMAGE_SUFFIXES)
    masks = _index(mask_folders or [], (MASK_SUFFIX,))
    no_image = f"no image {_patterns(image_folders, IMAGE_SUFFIXES)}"
    no_mask = f"no mask {_patterns(mask_folders or [], (MASK_SUFFIX,))}; masks of other formats: see `labels`"
    entries = []
    for id in ids:
        if id not in images:
            _add_missing(no_image, id, image_folders, faults)
        if mask_folders is not None and id not in masks:
            _add_missing(no_mask, id, mask_folders, faults)
        if id in images and (mask_folders is None or id in masks):
            entries.append(Entry(id, images[id].relative_to(root).as_posix(), masks.get(id)))
    return entries


def _add_missing(kind: str, id: str, folders: list[pathlib.Path], faults: errors.Faults) -> None:
    """Add the fault that no file of `id` is in `folders`; only one fault for all ids if no folder exists."""
    faults.add(kind, id if any(folder.is_dir() for folder in folders) else "all, since there is no such folder")


def _index(folders: list[pathlib.Path], suffixes: tuple[str, ...]) -> dict[str, pathlib.Path]:
    """Map the normalised id of every regular file in `folders` to its path."""
    paths: dict[str, pathlib.Path] = {}
    for folder in folders:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file()) if folder.is_dir() else []
        for suffix in suffixes:
            for name in names:
                if name.lower().endswith(suffix):
                    paths.setdefault(text_files.normalise(name[: -len(suffix)]), folder / name)
    return paths


def _patterns(folders: list[pathlib.Path], suffixes: tuple[str, ...]) -> str:
    return " or ".join(f"{folder}/<id>{'|'.join(suffixes)}" for folder in folders)
