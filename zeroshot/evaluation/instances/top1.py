"""The surest detection at each true object: whether it is there, has the right class, and how well its mask fits."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pycocotools.mask

from zeroshot.evaluation import metrics
from zeroshot.evaluation.instances import detections, truth

# Smallest IoU of the boxes of an object and of its detection.
MIN_IOU = 0.5


@dataclasses.dataclass(frozen=True)
class Found:
    """What was detected at one object.

    Attributes:
        instance: the object.
        category: category id of the surest detection whose box has an IoU of `MIN_IOU` or more with that of the object; None if there is
            no detection.
        mask_iou: IoU of both masks; nan if there is no detection.
    """

    instance: truth.Instance
    category: int | None
    mask_iou: float


def find(
    instances: Sequence[truth.Instance], detected: Sequence[detections.Detection], images: Collection[int]
) -> list[Found]:
    """Return the surest detection at every object of the images, whatever its class; of equally sure ones, that with the larger IoU.

    A crowd region is no object. One detection can be the surest at several objects.
    """
    wanted = set(images)
    by_image: dict[int, list[detections.Detection]] = {id: [] for id in wanted}
    for one in detected:
        if one["image_id"] in wanted:
            by_image[one["image_id"]].append(one)
    return [_surest(one, by_image[one.image]) for one in instances if one.image in wanted and not one.crowd]


def _surest(instance: truth.Instance, detected: Sequence[detections.Detection]) -> Found:
    if detected:
        boxes = np.array([one["bbox"] for one in detected], np.float64)
        ious = _iou(boxes, np.array([instance.box], np.float64))
        near = np.flatnonzero(ious >= MIN_IOU).tolist()
        if near:
            best = detected[
                max(near, key=lambda number: (detected[number]["score"], ious[number], _content(detected[number])))
            ]
            return Found(instance, best["category_id"], float(_iou([best["segmentation"]], [instance.mask])[0]))
    return Found(instance, None, np.nan)


def _content(detection: detections.Detection) -> tuple[int, str]:
    """Return what decides between detections that are equally sure and equally near, so that their order in the file does not."""
    return -detection["category_id"], detection["segmentation"]["counts"]


def _iou(one: Any, other: Any) -> np.ndarray:
    """Return the IoU (d,) of d boxes or masks with one."""
    return np.asarray(pycocotools.mask.iou(one, other, [0]), np.float64)[:, 0]


def summarise(found: Sequence[Found], labels: Collection[int], category_ids: Sequence[int | None]) -> Mapping[str, Any]:
    """Return what was detected at the objects of some classes.

    Args:
        found: from `find`.
        labels: the classes.
        category_ids: category id of each label.

    Returns:
        {objects: their number, localised: share with a detection, top1: share whose surest detection has their class, mask_iou: mean IoU
        of the masks of localised objects}, the last three in per cent, or None where there is nothing to average over.
    """
    chosen = [one for one in found if one.instance.label in labels]
    localised = [one for one in chosen if one.category is not None]
    right = [one for one in localised if one.category == category_ids[one.instance.label]]
    n = len(chosen)
    return {
        "objects": n,
        "localised": metrics.percent(len(localised) / n if n else np.nan),
        "top1": metrics.percent(len(right) / n if n else np.nan),
        "mask_iou": metrics.percent(float(np.mean([one.mask_iou for one in localised])) if localised else np.nan),
    }
