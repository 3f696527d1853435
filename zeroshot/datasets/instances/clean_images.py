"""From annotation files to what later stages read: clean training images, and evaluation images with and without their annotations.

A training image with any annotation of an unseen class leaves, as in the original, so no file for training depends on the masks and boxes
of unseen classes. One with crowd regions and no object leaves too: it shows no object by itself, and no certain background.

Images and annotations are in the order of their ids, and categories in label order, whatever the order of the files.
"""

import collections
import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zeroshot.base import errors, progress, storage
from zeroshot.datasets.instances import annotation_files, class_list, instance_roles, segments

Entry = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Where the files go.

    Attributes:
        classes: list of classes, JSON (`class_list`).
        train: clean training images with annotations of seen classes, COCO's layout.
        val: evaluation images with annotations of seen and unseen classes, COCO's layout.
        val_images: the same images without annotations.
        counts: table of images and instances by class and list.
        left_out: table of annotations that cannot be used.
    """

    classes: pathlib.Path
    train: pathlib.Path
    val: pathlib.Path
    val_images: pathlib.Path
    counts: pathlib.Path
    left_out: pathlib.Path


@dataclasses.dataclass
class _List:
    """Images of one list and their annotations, with what was left out, and the number of images left out for crowds alone."""

    images: list[Entry] = dataclasses.field(default_factory=list)
    annotations: list[Entry] = dataclasses.field(default_factory=list)
    left_out: list[Entry] = dataclasses.field(default_factory=list)
    clipped: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    crowd: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    n_crowds_alone: int = 0


def prepare(options: instance_roles.Params, outputs: Outputs, workers: int) -> list[str]:
    """Check a data set of instances, and write the files of later stages.

    Args:
        options: section `data`.
        outputs: where the files go.
        workers: number of threads.

    Returns:
        lines about the data set for the user.

    Raises:
        errors.DatasetError: if the data set has faults; the text lists all of them.
    """
    faults = errors.Faults()
    folder = pathlib.Path(options.annotations)
    train_images, val_images = pathlib.Path(options.train_images), pathlib.Path(options.val_images)
    train = [annotation_files.read(folder / name, train_images, faults) for name in options.train]
    val = annotation_files.read(folder / options.val, val_images, faults)
    annotation_files.check_joined(train, val, faults)
    classes = instance_roles.find(options, annotation_files.categories([*train, val], faults), faults)
    n_images = sum(len(file.images) for file in (*train, val))
    checked = annotation_files.check_images([*train, val], workers, faults)
    collections.deque(progress.track(checked, "check images", total=n_images), maxlen=0)
    faults.raise_any(str(folder))
    unseen = {classes.category_ids[label] for label in classes.unseen}
    labels = {id: label for label, id in enumerate(classes.category_ids) if id is not None}
    seen_labels = {id: label for id, label in labels.items() if id not in unseen}
    clean = _collected(train, seen_labels, unseen, crowds_alone=False)
    scored = _collected([val], labels, set(), crowds_alone=True)
    _number(clean, sum(len(file.annotations) for file in train), train)
    if not clean.annotations:
        raise errors.DatasetError(
            f"{folder}: no training image has an instance of a seen class and none of an unseen one, so nothing can be learnt; declare "
            "fewer classes unseen, or add images to data.train"
        )
    class_list.write(outputs.classes, classes)
    seen_categories, all_categories = (
        [{"id": id, "name": classes.classes[label]} for id, label in of_list.items()]
        for of_list in (seen_labels, labels)
    )
    _write(outputs.train, clean.images, clean.annotations, seen_categories)
    _write(outputs.val, scored.images, scored.annotations, all_categories)
    _write(outputs.val_images, scored.images, [], all_categories)
    lists = {"train": clean, "val": scored}
    rows = list(_count(classes, lists))
    storage.write_csv(outputs.counts, rows)
    left_out = [{"list": name, **row} for name, of_list in lists.items() for row in of_list.left_out]
    storage.write_csv(outputs.left_out, left_out, ("list", "file", "annotation", "image", "class", "cause", "detail"))
    return list(_describe(classes, lists, rows, left_out, sum(len(file.images) for file in train)))


def _collected(
    files: Sequence[annotation_files.AnnotationFile],
    labels: Mapping[int, int],
    excluded: Iterable[int | None],
    crowds_alone: bool,
) -> _List:
    """Collect images and their usable annotations of the categories in `labels`.

    Args:
        files: the annotation files.
        labels: category id -> label.
        excluded: category ids; an image with an annotation of one is left out.
        crowds_alone: whether images with crowd regions and no usable object stay.
    """
    found, excluded = _List(), set(excluded)
    pairs = [(file, image) for file in files for image in file.images]
    annotations = {id: of_image for file in files for id, of_image in annotation_files.by_image(file).items()}
    for file, image in sorted(pairs, key=lambda pair: pair[1]["id"]):
        of_image = annotations[image["id"]]
        if any(annotation["category_id"] in excluded for annotation in of_image):
            continue
        usable: list[segments.Segment] = []
        with_role = [annotation for annotation in of_image if annotation["category_id"] in labels]
        for annotation in sorted(with_role, key=lambda annotation: annotation["id"]):
            segment = segments.check(annotation, image)
            if isinstance(segment, segments.Segment):
                usable.append(segment)
            else:
                name = next(one["name"] for one in file.categories if one["id"] == annotation["category_id"])
                where = {"file": str(file.path), "annotation": annotation["id"], "image": image["id"], "class": name}
                found.left_out.append({**where, "cause": segment.cause, "detail": segment.detail})
        has_object = any(not segment.entry["iscrowd"] for segment in usable)
        if not crowds_alone and not has_object and any(annotation.get("iscrowd") for annotation in with_role):
            found.n_crowds_alone += 1
            continue
        found.images.append({key: image[key] for key in ("id", "file_name", "width", "height")})
        for segment in usable:
            label = labels[segment.entry["category_id"]]
            found.annotations.append(segment.entry)
            found.clipped[label] += segment.clipped
            found.crowd[label] += segment.entry["iscrowd"]
    return found


def _number(joined: _List, total: int, files: Sequence[annotation_files.AnnotationFile]) -> None:
    """Number the annotations of joined files anew if the files use the same numbers; image ids differ (`check_joined`)."""
    if len({annotation["id"] for file in files for annotation in file.annotations}) < total:
        for number, entry in enumerate(joined.annotations, 1):
            entry["id"] = number


def _write(path: pathlib.Path, images: list[Entry], annotations: list[Entry], categories: list[Entry]) -> None:
    """Write a file in COCO's layout, without white space, since millions of lines help nobody."""
    content = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    storage.write_text(path, json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")


def _count(classes: class_list.InstanceClasses, lists: Mapping[str, _List]) -> Iterable[Entry]:
    """Yield a row of counts for each list and class."""
    for name, of_list in lists.items():
        instances = collections.Counter(entry["category_id"] for entry in of_list.annotations if not entry["iscrowd"])
        pairs = {(entry["image_id"], entry["category_id"]) for entry in of_list.annotations if not entry["iscrowd"]}
        images = collections.Counter(id for _, id in pairs)
        causes = collections.Counter((row["class"], row["cause"]) for row in of_list.left_out)
        for label in (*classes.seen, *classes.unseen):
            id, class_name = classes.category_ids[label], classes.classes[label]
            yield {
                "class": class_name,
                "role": "unseen" if label in classes.unseen else "seen",
                "list": name,
                "images": images[id],
                "instances": instances[id],
                "crowd": of_list.crowd[label],
                "clipped_boxes": of_list.clipped[label],
                **{cause: causes[class_name, cause] for cause in segments.CAUSES},
            }


def _describe(
    classes: class_list.InstanceClasses,
    lists: Mapping[str, _List],
    rows: Sequence[Entry],
    left_out: Sequence[Entry],
    n_train: int,
) -> Iterable[str]:
    """Yield lines about a data set, for the user."""
    yield f"classes: {len(classes.seen)} seen, {len(classes.unseen)} unseen"
    for name, of_list in lists.items():
        total = sum(row["instances"] for row in rows if row["list"] == name)
        with_any = len({entry["image_id"] for entry in of_list.annotations if not entry["iscrowd"]})
        n_unseen = sum(row["instances"] for row in rows if row["list"] == name and row["role"] == "unseen")
        crowd = f", {of_list.crowd.total():,} crowd regions {'ignored in scores' if name == 'val' else 'that teach no background'}"
        of_which = f", {n_unseen:,} of unseen classes" if name == "val" else ""
        start = (
            f"{len(of_list.images):,} of {n_train:,} images are clean"
            if name == "train"
            else f"{len(of_list.images):,} images"
        )
        clipped = f", {of_list.clipped.total():,} boxes clipped to the image" if of_list.clipped.total() else ""
        yield f"{name}: {start}, {with_any:,} have instances: {total:,}{of_which}{crowd}{clipped}"
        if of_list.n_crowds_alone:
            yield f"{name}: {of_list.n_crowds_alone:,} images with crowd regions and no object left out"
    if left_out:
        yield f"annotations left out, since they cannot be used: {len(left_out):,}"
        for row in left_out[: errors.MAX_LISTED]:
            yield f"  {row['file']}: annotation {row['annotation']} ({row['class']}): {row['cause']}: {row['detail']}"
        if len(left_out) > errors.MAX_LISTED:
            yield f"  and {len(left_out) - errors.MAX_LISTED:,} more"
    for name, role, consequence in (
        ("train", "seen", "so these are not learnt"),
        ("val", "unseen", "so these have no score"),
    ):
        absent = [row["class"] for row in rows if (row["list"], row["role"]) == (name, role) and not row["instances"]]
        if absent:
            yield f"no instance in {name} of {len(absent)} {role} classes, {consequence}: {', '.join(absent)}"
