"""Finding images, masks, class list and image lists in a folder as people have it."""

import dataclasses
import difflib
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Sequence

from zeroshot.base import errors, text_files, user_files
from zeroshot.own_data import annotations, class_list, coco, labelme

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# Formats that keep label ids exactly.
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
# Formats of images that are not read.
UNREAD_SUFFIXES = (".heic", ".heif", ".avif", ".gif", ".jfif", ".jp2", ".dng", ".cr2", ".nef", ".arw", ".raw")
_ARRAYS = (".npy", ".npz", ".mat")
_IMAGE_FOLDERS = ("images", "jpegimages", "image", "imgs", "img", "photos")
_MASK_FOLDERS = ("masks", "segmentationclass", "mask", "labels", "annotations", "gt", "segmentation")
_MASK_ENDINGS = ("_mask", "-mask", "_label", "_labels", "_gt", "_seg", "_l")
_CLASS_FILES = (
    "classes.yaml", "classes.yml", "classes.txt", "classes.csv", "class_dict.csv", "label_colors.txt", "labelmap.txt", "labels.txt",
)  # fmt: skip
_LIST_FOLDERS = (".", "ImageSets/Segmentation", "lists", "splits")
LISTS = ("train", "val", "unlabelled")


@dataclasses.dataclass(frozen=True)
class Folder:
    """What was found.

    Attributes:
        root: the folder.
        images: id -> path of each image, sorted.
        masks: id -> path of the mask of an image, or its annotations.
        classes: the class list.
        lists: `train`, `val`, `unlabelled` -> ids, for the lists that exist.
    """

    root: pathlib.Path
    images: dict[str, pathlib.Path]
    masks: dict[str, pathlib.Path | annotations.Outlines]
    classes: list[class_list.Entry]
    lists: dict[str, list[str]]


def find(root: pathlib.Path, faults: errors.Faults) -> Folder:
    """Find the files of a data set in `root`.

    Images and masks are in a folder each (`images`, `masks` and usual names like these), or together, where a mask has the name of its
    image with an ending such as `_mask`, or another suffix. If there is no mask, annotations in JSON files are read.

    Args:
        root: the folder.
        faults: receives masks without an image and other faults of names.

    Raises:
        errors.UserError: if there is no image, no mask or no class list; the text says which names were looked for.
    """
    if not root.is_dir():
        raise errors.UserError(f"{root}: no such folder")
    files = _json_files(root)
    if files and not _pairs(root, errors.Faults())[1]:
        return _annotated(root, files, faults)
    images, masks = _pairs(root, faults)
    _check_any(root, images, faults)
    if not masks:
        raise errors.UserError(
            f"{_said(root, faults)}: no masks; they are looked for in {', '.join(_MASK_FOLDERS)}, or beside the images with one of the"
            f" endings {', '.join(_MASK_ENDINGS)}, as {', '.join(MASK_SUFFIXES)}; "
            f"or as JSON files of COCO or labelme, in the folder or one below{_of_cvat(root)}"
        )
    classes = _class_file(root)
    if classes is None:
        raise errors.UserError(
            f"{root}: no class list; write classes.txt with one name per line (line 0 has the value 0 in masks), or classes.yaml with "
            "colours and roles (docs/own_data.md)"
        )
    kept: dict[str, pathlib.Path | annotations.Outlines] = {id: path for id, path in masks.items() if id in images}
    return Folder(root, dict(sorted(images.items())), kept, class_list.read(classes), _lists(root, images, faults))


def _of_cvat(root: pathlib.Path) -> str:
    """Return a hint at CVAT's own format, which has no masks."""
    for path in sorted([*root.glob("*.xml"), *root.glob("*/*.xml")]):
        if b"<annotations>" in user_files.head(path, 1024):
            return f"; {path} is CVAT's own format: export `COCO 1.0` or `Segmentation mask 1.1` instead (docs/own_data.md)"
    return ""


def _class_file(*folders: pathlib.Path) -> pathlib.Path | None:
    paths = (folder / name for folder in folders for name in _CLASS_FILES)
    return next((path for path in paths if path.is_file()), None)


def _json_files(root: pathlib.Path) -> list[pathlib.Path]:
    """Return the JSON files of the folder and of the folders in it; only those with instances, if there are any.

    COCO has further files for key points and captions, which describe the same images.
    """
    files = sorted(path for pattern in ("*.json", "*/*.json") for path in root.glob(pattern) if path.is_file())
    return [path for path in files if path.name.startswith("instances")] or files


def _annotated(root: pathlib.Path, files: Sequence[pathlib.Path], faults: errors.Faults) -> Folder:
    """Return a folder with annotations in JSON files and images anywhere in it, to three folders deep."""
    paths = [path for pattern in ("*", "*/*", "*/*/*") for path in root.glob(pattern)]
    images = _by_stem(paths, IMAGE_SUFFIXES, False, faults)
    _name_unread(paths, images, faults)
    _check_any(root, images, faults)
    is_labelme = labelme.is_one(files[0])
    found = labelme.read(files, images, faults) if is_labelme else coco.read(root, files, images, faults)
    masks: dict[str, pathlib.Path | annotations.Outlines] = {
        id: outlines for id, outlines in found.outlines.items() if id in images
    }
    lists = _lists(root, images, faults)
    if not lists.keys() & {"train", "val"}:
        unlabelled = lists.get("unlabelled", [])
        lists |= {name: [id for id in ids if id not in unlabelled] for name, ids in found.lists.items()}
    entries = class_list.of_annotations(files[0], found.names, _class_file(root, files[0].parent))
    return Folder(root, dict(sorted(images.items())), masks, entries, lists)


def _said(root: pathlib.Path, faults: errors.Faults) -> str:
    """Return the faults that were found before, and the folder."""
    try:
        faults.raise_any(str(root))
    except errors.DatasetError as error:
        return f"{error}\n{root}"
    return str(root)


def _check_any(root: pathlib.Path, images: Collection[str], faults: errors.Faults) -> None:
    if not images:
        raise errors.UserError(
            f"{_said(root, faults)}: no images; they are looked for in {', '.join(_IMAGE_FOLDERS)} or in the folder itself, as"
            f" {', '.join(IMAGE_SUFFIXES)}"
        )


def _pairs(root: pathlib.Path, faults: errors.Faults) -> tuple[dict[str, pathlib.Path], dict[str, pathlib.Path]]:
    """Return the images and the masks by the id of the image."""
    image_folder, mask_folder = _named(root, _IMAGE_FOLDERS), _named(root, _MASK_FOLDERS)
    if mask_folder is None and image_folder is not None:
        mask_folder = image_folder
    image_folder, mask_folder = image_folder or root, mask_folder or root
    together = mask_folder == image_folder
    images = _by_stem(image_folder.iterdir(), IMAGE_SUFFIXES, together, faults)
    masks = images if together else _by_stem(mask_folder.iterdir(), MASK_SUFFIXES, together, faults)
    _name_unread(image_folder.iterdir(), images, faults)
    if not together:
        suffixes = (*(set(IMAGE_SUFFIXES) - set(MASK_SUFFIXES)), *UNREAD_SUFFIXES, *_ARRAYS)
        for path in _unread(mask_folder.iterdir(), suffixes, masks):
            kind = f"mask that is not read; save it as one of {', '.join(MASK_SUFFIXES)}, which keep its values exactly"
            faults.add(kind, str(path))
    if together:
        masks = _apart(image_folder, images, faults)
        images = {id: path for id, path in images.items() if path not in masks.values()}
    else:
        owned: dict[str, pathlib.Path] = {}
        for id, path in masks.items():
            image = id if id in images else _without_ending(id, images)
            if image in owned:
                faults.add("two masks of one image; remove one", f"{owned[image]} and {path}")
            owned[image] = path
        masks = owned
        for id, path in masks.items():
            if id not in images:
                faults.add("mask without an image", f"{path}{_beside(image_folder, path.stem, list(images))}")
    return images, masks


def _unread(paths: Iterable[pathlib.Path], suffixes: Collection[str], read: Collection[str]) -> Iterator[pathlib.Path]:
    """Yield the files of one of the suffixes, sorted, without those that belong to a file that is read, as a.dng or a_overlay.jpg do."""
    for path in sorted(paths):
        if path.suffix.lower() not in suffixes or not path.is_file():
            continue
        stem = text_files.normalise(path.stem)
        if stem not in read and not any(stem.startswith((f"{id}_", f"{id}-")) for id in read):
            yield path


def _name_unread(paths: Iterable[pathlib.Path], images: Collection[str], faults: errors.Faults) -> None:
    """Add a fault for each image of a format that is not read."""
    for path in _unread(paths, UNREAD_SUFFIXES, images):
        faults.add(
            f"image that is not read; convert it to one of {', '.join(IMAGE_SUFFIXES)}, or move it away", str(path)
        )


def _named(root: pathlib.Path, names: Sequence[str]) -> pathlib.Path | None:
    folders = {entry.name.lower(): pathlib.Path(entry.path) for entry in os.scandir(root) if entry.is_dir()}
    return next((folders[name] for name in names if name in folders), None)


def _by_stem(
    paths: Iterable[pathlib.Path], suffixes: Sequence[str], together: bool, faults: errors.Faults
) -> dict[str, pathlib.Path]:
    """Return files by name; `together`: they are images and masks, so a.jpg and a.png are an image and its mask."""
    found: dict[str, pathlib.Path] = {}
    for path in sorted(paths):
        if path.suffix.lower() not in suffixes or not path.is_file():
            continue
        id = text_files.normalise(path.stem)
        if id in found:
            first_is_mask, is_mask = (one.suffix.lower() in MASK_SUFFIXES for one in (found[id], path))
            if together and first_is_mask != is_mask:
                image, mask = (path, found[id]) if first_is_mask else (found[id], path)
                found |= {id: image, f"{id}_mask": mask}
            else:
                faults.add("two files with one name; rename one", f"{found[id]} and {path.name}")
        else:
            found[id] = path
    return found


def _apart(folder: pathlib.Path, files: dict[str, pathlib.Path], faults: errors.Faults) -> dict[str, pathlib.Path]:
    """Return the masks among the files of one folder by the id of their image."""
    masks = {}
    for id, path in files.items():
        image = _without_ending(id, files)
        if image != id:
            masks[image] = path
        elif id.lower().endswith(_MASK_ENDINGS):
            faults.add("mask without an image", f"{path}{_beside(folder, id, [])}")
    return masks


def _without_ending(id: str, images: Iterable[str]) -> str:
    """Return the name of a mask without a usual ending if that is an image, else the name itself."""
    for ending in _MASK_ENDINGS:
        if id.lower().endswith(ending) and id[: -len(ending)] in images:
            return id[: -len(ending)]
    return id


def _beside(folder: pathlib.Path, stem: str, ids: Sequence[str]) -> str:
    """Return a hint at a file that may be the image: another suffix, or nearly the same name."""
    others = sorted(path.name for path in folder.glob(f"{stem}.*") if path.suffix.lower() not in MASK_SUFFIXES)
    if others:
        return f": {others[0]} lies beside it; convert it to one of {', '.join(IMAGE_SUFFIXES)}"
    close = difflib.get_close_matches(stem, ids, n=1)
    return f": is it the mask of {close[0]}?" if close else ""


def _lists(root: pathlib.Path, images: Iterable[str], faults: errors.Faults) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for name in LISTS:
        path = next(
            (root / place / f"{name}.txt" for place in _LIST_FOLDERS if (root / place / f"{name}.txt").is_file()), None
        )
        if path is None:
            continue
        lists[name] = []
        for line in filter(None, text_files.read_lines(path)):
            file = pathlib.PurePosixPath(line.split()[0] if line not in images else line)
            id = line if line in images else (file.stem if file.suffix.lower() in IMAGE_SUFFIXES else file.name)
            if id not in images:
                faults.add("listed image does not exist", f"{path}: {line}")
            elif owner.setdefault(id, name) != name:
                faults.add("image in two lists", f"{id}: {owner[id]}.txt and {name}.txt")
            else:
                lists[name].append(id)
    return lists
