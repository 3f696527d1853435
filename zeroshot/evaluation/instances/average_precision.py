"""Average precision and recall of each class by pycocotools, for boxes or masks; results are read by category id, never by position."""

import contextlib
import dataclasses
import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pycocotools.coco
import pycocotools.cocoeval

from zeroshot.evaluation.instances import detections, truth

Regions = Literal["bbox", "segm"]
# IoU at which a detection is right: ZSI's 0.4, 0.5 and 0.6, and COCO's 0.5 to 0.95.
IOUS = (0.4, *(round(0.5 + 0.05 * step, 2) for step in range(10)))
COCO_IOUS = IOUS[1:]
# Detections of each image and class that count, the surest first.
MAX_DETECTIONS = 100


@dataclasses.dataclass(frozen=True)
class Matches:
    """The detections of one class at IoU 0.5, in descending order of their scores.

    Attributes:
        images: (d,) int64, positions of their images among those evaluated.
        right: (d,) bool, whether it is matched with an object.
        ignored: (d,) bool, whether it lies in a crowd region and so counts neither as right nor as wrong.
        objects: (n,) int64, the number of objects of the class in each of the n images.
    """

    images: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    objects: np.ndarray


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        objects: number of its objects, without crowd regions.
        precision: (IOUS, 101) float64 at the recalls 0, 0.01, ..., 1: the largest precision at this recall or above, 0 where it is not
            reached; nan if the class has no object.
        recall: (IOUS,) float64, the share of its objects that were found; nan if it has none.
        matches: its detections at IoU 0.5.
    """

    objects: int
    precision: np.ndarray
    recall: np.ndarray
    matches: Matches

    def ap(self, iou: float) -> float:
        """Return the average precision at an IoU of `IOUS`."""
        return float(self.precision[IOUS.index(iou)].mean())

    def recall_at(self, iou: float) -> float:
        """Return the recall at an IoU of `IOUS`."""
        return float(self.recall[IOUS.index(iou)])

    @property
    def coco_ap(self) -> float:
        """The mean of the average precision over `COCO_IOUS`."""
        return float(np.mean([self.ap(iou) for iou in COCO_IOUS]))


def evaluate(
    instances: Sequence[truth.Instance],
    detected: Sequence[detections.Detection],
    images: Collection[int],
    categories: Mapping[int, int],
    regions: Regions,
) -> dict[int, ClassScores]:
    """Score detections with COCOeval.

    A detection that has the IoU with several objects is matched with the best one that no surer detection took; a second detection of an
    object is wrong. Of each image and class, the `MAX_DETECTIONS` surest count. The order of instances and detections does not matter.

    Args:
        instances: the true instances; those of other classes or images do not count.
        detected: the detections, likewise.
        images: ids of the images to evaluate.
        categories: label -> category id of the classes to evaluate.
        regions: `bbox` compares boxes, `segm` masks.

    Returns:
        label -> scores.
    """
    labels = {category: label for label, category in categories.items()}
    images = sorted(set(images))
    # COCOeval takes an empty list of images for all.
    evaluated = set(images)
    annotations: list[dict[str, Any]] = [
        {
            "image_id": one.image, "category_id": categories[one.label], "bbox": list(one.box), "segmentation": dict(one.mask),
            "area": 0, "iscrowd": int(one.crowd),
        }
        for one in instances
        if one.label in categories and one.image in evaluated
    ]  # fmt: skip
    results = [dict(one, area=0) for one in detected if one["category_id"] in labels and one["image_id"] in evaluated]
    evaluation: Any = pycocotools.cocoeval.COCOeval(iouType=regions)
    # pycocotools prints what it does.
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.cocoGt = _coco(annotations, images, labels)
        evaluation.cocoDt = _coco(results, images, labels)
        evaluation.params.imgIds = images
        evaluation.params.catIds = list(labels)
        evaluation.params.useCats = 1
        evaluation.params.iouThrs = np.array(IOUS)
        evaluation.params.maxDets = [MAX_DETECTIONS]
        # Objects of any size.
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    # COCOeval has sorted both lists.
    ids: list[int] = [int(category) for category in evaluation.params.catIds]
    precision, recall = (
        np.where(values < 0, np.nan, values)
        for values in (evaluation.eval["precision"][..., 0, 0], evaluation.eval["recall"][..., 0, 0])
    )
    scores = {}
    for position, category in enumerate(ids):
        by_image = evaluation.evalImgs[position * len(images) : (position + 1) * len(images)]
        matches = _matches(by_image)
        scores[labels[category]] = ClassScores(
            int(matches.objects.sum()), precision[:, :, position], recall[:, position], matches
        )
    return {label: scores[label] for label in categories}


def _coco(records: list[dict[str, Any]], images: Sequence[int], categories: Collection[int]) -> Any:
    """Return records in COCO's index, sorted so that equal scores and IoUs have one order, with ids from 1: COCOeval takes 0 for none."""
    records.sort(
        key=lambda one: (
            one["image_id"], one["category_id"], -one.get("score", 0.0), tuple(one["bbox"]), one["segmentation"]["counts"],
        )
    )  # fmt: skip
    # The type stubs of pycocotools ask for more keys than its functions read.
    coco: Any = pycocotools.coco.COCO()
    coco.dataset = {
        # pycocotools needs a size to fill polygons; all masks are run lengths.
        "images": [{"id": id, "height": 0, "width": 0} for id in images],
        "categories": [{"id": id} for id in categories],
        "annotations": [dict(one, id=number) for number, one in enumerate(records, start=1)],
    }
    coco.createIndex()
    return coco


def _matches(by_image: Sequence[dict[str, Any] | None]) -> Matches:
    """Return the matches of a class from what COCOeval has of each image, None where there is neither an object nor a detection."""
    half = IOUS.index(0.5)
    scores, images, right, ignored = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, bool)], [np.zeros(0, bool)]
    objects = np.zeros(len(by_image), np.int64)
    for number, one in enumerate(by_image):
        if one is not None:
            objects[number] = np.count_nonzero(one["gtIgnore"] == 0)
            scores.append(np.array(one["dtScores"], np.float64))
            images.append(np.full(len(one["dtScores"]), number))
            right.append(one["dtMatches"][half] > 0)
            ignored.append(one["dtIgnore"][half].astype(bool))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return Matches(np.concatenate(images)[order], np.concatenate(right)[order], np.concatenate(ignored)[order], objects)
