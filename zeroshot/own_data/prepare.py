"""From a folder to a data set in VOC's layout: the steps of `zeroshot check DIR`."""

import collections
import dataclasses
import pathlib
import shutil
import statistics
from collections.abc import Collection, Sequence
from typing import Any

import PIL.Image

from zeroshot.base import errors, parallel, params, progress, storage
from zeroshot.datasets import inspection, layout, partition
from zeroshot.images import grids, image_files, label_ids, views
from zeroshot.own_data import annotations, class_list, division, folder, mask_values, parameters, regions, report

# What a folder has that `make` wrote.
_WRITTEN = ("JPEGImages", "SegmentationClass", parameters.LIST_FOLDER, "classes.txt")
# Folders in data/ that the pipelines write or read for themselves.
_OF_STAGES = ("toy", "labels", "masks", "shapes", "szn", "zsi", "pretrained")
# Shorter sides than this leave too few cells of the feature map.
_LEAST_SIDE = 32


@dataclasses.dataclass(frozen=True)
class Options:
    """How the data set is made.

    Attributes:
        unseen: names of classes to declare unseen, beside those of the class list and those that no mask shows.
        void: values in masks that are ignored.
        no_background: the class that is called background is an ordinary class.
        side: larger images and their masks are shrunk to this longest side in pixels; 0: never.
        val_share: share of the images with masks that go to validation, if there is no val.txt.
        seed: of the choice of validation images.
        workers: number of threads.
    """

    unseen: tuple[str, ...] = ()
    void: tuple[int, ...] = ()
    no_background: bool = False
    side: int = 320
    val_share: float = 0.2
    seed: int = 0
    workers: int = 2


@dataclasses.dataclass(frozen=True)
class _Decoded:
    """One image and its mask: (height, width), pixels and cells by label id, values without a class, faults as (kind, detail).

    `ignored` is the share of the mask's pixels that are ignored, `by_255` the share that is because 255 is no class.
    """

    size: tuple[int, int] = (0, 0)
    shown: dict[int, tuple[int, int]] | None = None
    ignored: float = 0.0
    by_255: float = 0.0
    unknown: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    faults: tuple[tuple[str, str], ...] = ()


def check(root: pathlib.Path, out: pathlib.Path, options: Options) -> None:
    """Check that options have possible values and that `out` may be replaced.

    Raises:
        errors.UserError: naming the option or the folder.
    """
    source, target = root.resolve(), out.resolve()
    if source == target or source.is_relative_to(target) or target.is_relative_to(source):
        raise errors.UserError(
            f"{out}: has {root} in it or is in it, and would be replaced; give another folder in --out"
        )
    if out.exists() and not all((out / name).exists() for name in _WRITTEN):
        raise errors.UserError(f"{out}: exists and was not written by `zeroshot check`; give another folder in --out")
    if target.parent.name == "data" and target.name in _OF_STAGES:
        raise errors.UserError(f"{out}: is a folder that stages write; give another folder in --out")
    if not 0 < options.val_share < 1:
        raise errors.UserError(f"--val-share: needs a number between 0 and 1, found {options.val_share}")
    if options.side and options.side < _LEAST_SIDE:
        raise errors.UserError(f"--side: needs 0 or at least {_LEAST_SIDE} pixels, found {options.side}")
    if options.seed < 0:
        raise errors.UserError(f"--seed: needs a number from 0, found {options.seed}")


def make(root: pathlib.Path, out: pathlib.Path, options: Options) -> report.Summary:
    """Check the folder `root` and write the data set in VOC's layout to `out`, which is replaced.

    Raises:
        errors.DatasetError: if the folder has faults; the text lists all of them, and nothing is written.
        errors.UserError: if there is nothing to check, or a name is not in the class list.
    """
    check(root, out, options)
    faults = errors.Faults()
    found = folder.find(root, faults)
    entries = found.classes
    if options.no_background:
        entries = [
            dataclasses.replace(entry, role="seen") if entry.role == "background" else entry for entry in entries
        ]
    entries = class_list.with_roles(entries, dict.fromkeys(options.unseen, "unseen"))
    numbering = mask_values.number(entries, options.void)
    with storage.replacing_folder(out) as unfinished:
        (unfinished / "JPEGImages").mkdir()
        (unfinished / "SegmentationClass").mkdir()

        def one(id: str) -> tuple[str, _Decoded]:
            return id, _write(unfinished, id, found.images[id], found.masks.get(id), numbering, options.side)

        decoded = dict(
            progress.track(parallel.in_order(one, found.images, options.workers), "check", total=len(found.images))
        )
        unknown: collections.Counter = collections.Counter()
        for item in decoded.values():
            unknown.update(item.unknown)
            for kind, detail in item.faults:
                faults.add(kind, detail)
        if unknown:
            faults.add("values in masks that are no class", mask_values.describe_unknown(unknown, numbering))
        shown = {id: item.shown for id, item in decoded.items() if item.shown is not None}
        for name in ("train", "val"):
            for id in found.lists.get(name, []):
                if id in decoded and id not in found.masks:
                    faults.add(f"image in {name}.txt without a mask; list it in unlabelled.txt", id)
        faults.raise_any(str(root))
        lists = _divide(found, shown, options)
        unseen = _unseen(numbering, {label for id in lists["train"] for label in shown[id]})
        ignored, by_255 = (
            statistics.fmean(getattr(decoded[id], share) for id in shown) for share in ("ignored", "by_255")
        )
        _check_objects(root, numbering, unseen, by_255)
        _write_lists(unfinished, numbering, lists)
        summary = report.Summary(
            numbering, unseen, shown, [item.size for item in decoded.values()], lists, ignored, by_255
        )
        _check_as_stages_do(unfinished, root, parameters.of(out, summary)["data"], options.workers)
    return summary


def _check_objects(root: pathlib.Path, numbering: mask_values.Numbering, unseen: Sequence[int], by_255: float) -> None:
    """Check that the training masks show a class that can be learnt, besides the background."""
    if len(unseen) == len(numbering.names) - 1:
        raise errors.DatasetError(
            f"{root}: no training mask shows a seen class besides the background{report.of_255(by_255)}"
        )


def _check_as_stages_do(unfinished: pathlib.Path, root: pathlib.Path, section: dict[str, Any], workers: int) -> None:
    """Check the data set as prepare_split will; the messages name the folder of the user."""
    rest = {"root": unfinished.as_posix(), "train_unseen": [], "sbd": None, "drop_partly_labelled": False}
    settings = params.build({**section, **rest}, layout.Params, "data", str(root))
    try:
        partition.check(unfinished, unfinished / "none", settings, workers)
    except errors.DatasetError as error:
        raise errors.DatasetError(str(error).replace(str(unfinished), str(root))) from None


def _write(
    out: pathlib.Path,
    id: str,
    image_path: pathlib.Path,
    source: pathlib.Path | annotations.Outlines | None,
    numbering: mask_values.Numbering,
    side: int,
) -> _Decoded:
    """Write an image and its mask, shrunk to `side`, and return what they show."""
    try:
        image = image_files.read_image(image_path)
    except image_files.ImageError as error:
        return _Decoded(faults=(("unusable image", str(error)),))
    size = image.shape[:2]
    scale = min(1.0, side / max(size)) if side else 1.0
    view = views.View(scale)
    if scale == 1.0 and image_path.suffix.lower() in (".jpg", ".jpeg", ".png"):
        shutil.copyfile(image_path, out / f"JPEGImages/{id}{image_path.suffix.lower()}")
    else:
        with storage.writing(out / f"JPEGImages/{id}.png", flush=False) as file:
            PIL.Image.fromarray(view.image(image)).save(file, format="PNG")
    if source is None:
        return _Decoded(size)
    if isinstance(source, annotations.Outlines):
        mask, faults = regions.paint(source, size, numbering.labels)
        unknown, by_255 = collections.Counter(), 0
        if faults:
            return _Decoded(size, faults=tuple(faults))
    else:
        try:
            mask, unknown, by_255 = mask_values.read(source, numbering)
        except image_files.ImageError as error:
            return _Decoded(size, faults=(("unusable mask", str(error)),))
        if mask.shape != size:
            detail = f"{image_path} is {size[1]} x {size[0]}, {source} is {mask.shape[1]} x {mask.shape[0]}"
            return _Decoded(size, faults=(("image and mask differ in size", detail),))
    by_255_share = by_255 / mask.size
    mask = view.mask(mask)
    image_files.write_mask(out / f"SegmentationClass/{id}.png", mask)
    pixels, cells = (inspection.count(labels) for labels in (mask, grids.downsample(mask, grids.STRIDE)))
    ignored = pixels.pop(label_ids.IGNORE_INDEX, 0) / mask.size
    return _Decoded(
        size, {label: (count, cells.get(label, 0)) for label, count in pixels.items()}, ignored, by_255_share, unknown
    )


def _divide(
    found: folder.Folder, shown: dict[str, dict[int, tuple[int, int]]], options: Options
) -> dict[str, list[str]]:
    """Return the lists of the folder; those that it lacks are drawn, and images without masks are unlabelled.

    With both train.txt and val.txt, images in none of them are left out.
    """
    lists = found.lists
    unlabelled = sorted({*lists.get("unlabelled", []), *(id for id in found.images if id not in found.masks)})
    labelled = {id: labels for id, labels in shown.items() if id not in unlabelled}
    val = lists.get("val")
    train = lists.get("train", [id for id in labelled if id not in (val or ())])
    if val is None:
        train, val = division.draw({id: labelled[id] for id in train}, options.val_share, options.seed)
    return {"train": sorted(train), "val": sorted(val), "unlabelled": unlabelled}


def _unseen(numbering: mask_values.Numbering, shown: Collection[int]) -> tuple[int, ...]:
    """Return the label ids of the classes that are called unseen or that no training mask shows."""
    absent = [label for label in range(1, len(numbering.names)) if label not in shown]
    return tuple(sorted({*numbering.unseen, *absent}))


def _write_lists(out: pathlib.Path, numbering: mask_values.Numbering, lists: dict[str, list[str]]) -> None:
    _write_lines(out / "classes.txt", numbering.names)
    (out / parameters.LIST_FOLDER).mkdir(parents=True)
    for name, ids in lists.items():
        _write_lines(out / f"{parameters.LIST_FOLDER}/{name}.txt", ids)


def _write_lines(path: pathlib.Path, lines: Sequence[str]) -> None:
    storage.write_text(path, "".join(f"{line}\n" for line in lines))
