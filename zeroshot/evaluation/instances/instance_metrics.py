"""The metrics of detected instances in the four protocols of ZSI (Zheng et al. 2021, section 4), and their tables.

ZSD compares boxes and ZSI masks, where only unseen classes can be predicted and only their objects count. GZSD and GZSI do the same where
all classes can be predicted and count.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pydantic

from zeroshot.base import errors, params
from zeroshot.datasets.instances import class_list
from zeroshot.evaluation import metrics
from zeroshot.evaluation.instances import average_precision, detections, intervals, top1, truth

# Protocol -> the list of detections, and what is compared.
PROTOCOLS: Mapping[str, tuple[Literal["zsi", "gzsi"], average_precision.Regions]] = {
    "zsd": ("zsi", "bbox"),
    "zsi": ("zsi", "segm"),
    "gzsd": ("gzsi", "bbox"),
    "gzsi": ("gzsi", "segm"),
}

# Why nothing can be scored; the file's path goes before.
NO_UNSEEN_OBJECT = (
    "evaluation.generalised_images: is with_unseen, but no evaluation image has an object of an unseen class, so no image would be "
    "scored; set it to all"
)


@params.section
class Params:
    """The section `evaluation` of zsi/params.yaml, which documents every key."""

    generalised_images: Literal["all", "with_unseen"]
    resamples: Annotated[int, pydantic.Field(ge=0, le=100_000)]


@dataclasses.dataclass(frozen=True)
class Results:
    """What was measured.

    Attributes:
        images: ids of the images of the lists `zsi` and `gzsi`.
        scores: protocol -> label -> scores; of the unseen classes in ZSD and ZSI, of all but the background in GZSD and GZSI.
        found: list -> the surest detection at every object.
        n_detections: list -> role -> number of detections in its images.
    """

    images: Mapping[str, tuple[int, ...]]
    scores: Mapping[str, Mapping[int, average_precision.ClassScores]]
    found: Mapping[str, Sequence[top1.Found]]
    n_detections: Mapping[str, Mapping[str, int]]


def roles(classes: class_list.InstanceClasses, protocol: str) -> dict[str, tuple[int, ...]]:
    """Return role -> labels of the classes that count in a protocol or its list of detections."""
    unseen_only = protocol in ("zsd", "zsi")
    return {"unseen": classes.unseen} if unseen_only else {"seen": classes.seen, "unseen": classes.unseen}


def measure(
    true: truth.Truth, detected: detections.Detections, classes: class_list.InstanceClasses, options: Params
) -> Results:
    """Measure the detections of one detector.

    The list `zsi` is compared with the images that show an object of an unseen class, as in the original.

    Args:
        true: the evaluation images with all their instances.
        detected: the detections.
        classes: names, category ids and roles.
        options: the section `evaluation`.

    Raises:
        errors.UserError: if only images with an unseen object count, and there is none.
    """
    showing_unseen = true.showing(classes.unseen)
    images = {"zsi": showing_unseen, "gzsi": tuple(true.images)}
    if options.generalised_images == "with_unseen":
        if not showing_unseen:
            raise errors.UserError(f"zsi/params.yaml: {NO_UNSEEN_OBJECT}")
        images["gzsi"] = showing_unseen
    scores, found, n_detections = {}, {}, {}
    for name, (source, regions) in PROTOCOLS.items():
        labels = [label for group in roles(classes, name).values() for label in group]
        categories = {label: _category(classes, label) for label in labels}
        scores[name] = average_precision.evaluate(
            true.instances, getattr(detected, source), images[source], categories, regions
        )
    for source in images:
        ones: Sequence[detections.Detection] = getattr(detected, source)
        counted = {label for group in roles(classes, source).values() for label in group}
        instances = [one for one in true.instances if one.label in counted]
        found[source] = top1.find(instances, ones, images[source])
        inside = set(images[source])
        found_labels = [classes.label_of(one["category_id"]) for one in ones if one["image_id"] in inside]
        n_detections[source] = {
            role: sum(label in labels for label in found_labels) for role, labels in roles(classes, source).items()
        }
    return Results(images, scores, found, n_detections)


def summarise(results: Results, classes: class_list.InstanceClasses, options: Params) -> dict[str, Any]:
    """Return the metrics in per cent by plain names; None where there is nothing to average over.

    Returns:
        {zsd: {unseen: means}, zsi: ..., gzsd: {seen: means, unseen: means, harmonic: {mAP50, mAP50_low, mAP50_high, recall50}}, gzsi: ...,
        top1: {zsi: {unseen: {objects, localised, top1, mask_iou}}, gzsi: {seen: ..., unseen: ...}}, detections: ..., images: ...,
        classes_without_objects: {seen: names, unseen: names}}. The means are those over the classes with an object: `mAP50` (the mAP of
        the paper), `mAP75`, `mAP50_95` (COCO's AP), and the `recall40`, `recall50` and `recall60` with 100 detections of each image and
        class (Recall@100 of the paper). `low` and `high` are the bounds of the 95 % interval over the images.
    """
    summary: dict[str, Any] = {}
    for name, scores in results.scores.items():
        groups = roles(classes, name)
        summary[name] = {role: _means([scores[label] for label in labels]) for role, labels in groups.items()}
        if "seen" in groups:
            seen, unseen = summary[name]["seen"], summary[name]["unseen"]
            interval = intervals.harmonic_map(scores, classes.seen, classes.unseen, options.resamples)
            summary[name]["harmonic"] = {
                "mAP50": metrics.harmonic_mean(seen["mAP50"], unseen["mAP50"]),
                "mAP50_low": None if interval is None else interval.low,
                "mAP50_high": None if interval is None else interval.high,
                "recall50": metrics.harmonic_mean(seen["recall50"], unseen["recall50"]),
            }
    summary["top1"] = {
        source: {
            role: top1.summarise(found, labels, classes.category_ids) for role, labels in roles(classes, source).items()
        }
        for source, found in results.found.items()
    }
    summary["detections"] = {source: dict(numbers) for source, numbers in results.n_detections.items()}
    summary["images"] = {source: len(ids) for source, ids in results.images.items()}
    summary["classes_without_objects"] = {
        role: [classes.classes[label] for label in labels if not results.scores["gzsd"][label].objects]
        for role, labels in roles(classes, "gzsd").items()
    }
    return summary


def split_entry(classes: class_list.InstanceClasses, true: truth.Truth) -> dict[str, Any]:
    """Return the entry `split` of a metrics file: the numbers of seen and unseen classes, and a checksum.

    The checksum is that of the classes, their roles and the evaluation images. Metrics are comparable only if it is the same.
    """
    content = [classes.classes, classes.category_ids, classes.seen, classes.unseen, list(true.images)]
    checksum = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    return {"seen": len(classes.seen), "unseen": len(classes.unseen), "checksum": checksum}


def class_table(results: Results, classes: class_list.InstanceClasses) -> list[dict[str, Any]]:
    """Return a row for each class but the background, in label order.

    Returns:
        {class, role, objects (of all generalised images), and `AP50` and `recall50` of each protocol in per cent, as in gzsi_AP50}; None
        where a class does not count or has no object.
    """
    rows = []
    for label in (*classes.seen, *classes.unseen):
        row: dict[str, Any] = {
            "class": classes.classes[label],
            "role": "unseen" if label in classes.unseen else "seen",
            "objects": results.scores["gzsd"][label].objects,
        }
        for name in ("gzsd", "gzsi", "zsd", "zsi"):
            scores = results.scores[name].get(label)
            row[f"{name}_AP50"] = None if scores is None else metrics.percent(scores.ap(0.5))
            row[f"{name}_recall50"] = None if scores is None else metrics.percent(scores.recall_at(0.5))
        rows.append(row)
    return rows


def curve_table(results: Results, classes: class_list.InstanceClasses) -> list[dict[str, Any]]:
    """Return the precision at 101 recalls, the mean over the classes of a role with an object, at IoU 0.5.

    Returns:
        rows {recall, precision, role, predicted (unseen or all classes), regions (boxes or masks)}, the first two in per cent; no row for
        a role without an object.
    """
    half = average_precision.IOUS.index(0.5)
    rows = []
    for name, (source, regions) in PROTOCOLS.items():
        for role, labels in roles(classes, name).items():
            curves = [one.precision[half] for one in map(results.scores[name].__getitem__, labels) if one.objects]
            if curves:
                rows += [
                    {
                        "recall": percent,
                        "precision": round(100 * float(value), 4),
                        "role": role,
                        "predicted": "unseen classes" if source == "zsi" else "all classes",
                        "regions": "boxes" if regions == "bbox" else "masks",
                    }
                    for percent, value in enumerate(np.mean(curves, axis=0))
                ]
    return rows


def _category(classes: class_list.InstanceClasses, label: int) -> int:
    """Return the category id of a class that is not the background."""
    category = classes.category_ids[label]
    if category is None:
        raise ValueError(f"label {label} is the background")
    return category


def _means(scores: Collection[average_precision.ClassScores]) -> dict[str, float | None]:
    """Return the means over the classes with an object; see `summarise`."""
    counted = [one for one in scores if one.objects]

    def mean(values: Sequence[float]) -> float | None:
        return metrics.percent(float(np.mean(values)) if values else np.nan)

    return {
        "mAP50": mean([one.ap(0.5) for one in counted]),
        "mAP75": mean([one.ap(0.75) for one in counted]),
        "mAP50_95": mean([one.coco_ap for one in counted]),
        "recall40": mean([one.recall_at(0.4) for one in counted]),
        "recall50": mean([one.recall_at(0.5) for one in counted]),
        "recall60": mean([one.recall_at(0.6) for one in counted]),
    }
