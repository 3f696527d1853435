"""Instances of an image as entries of COCO's results: boxes, scores, category ids and run lengths of masks."""

from zeroshot.datasets import run_lengths
from zeroshot.datasets.instances import class_list
from zeroshot.evaluation.instances import detections
from zeroshot.zsi import inference

# Decimals of a coordinate in pixels, as in COCO's own files, and of a score.
_PIXEL_DECIMALS, _SCORE_DECIMALS = 2, 6


def entries(
    found: inference.Detections, image_id: int, classes: class_list.InstanceClasses, mask_threshold: float
) -> list[detections.Detection]:
    """Return the instances of one image.

    Args:
        found: the instances.
        image_id: id of the image.
        classes: the classes that the labels refer to.
        mask_threshold: the probability from which a pixel is in the mask.
    """
    result: list[detections.Detection] = []
    masks = found.pasted_masks(mask_threshold)
    rows = zip(found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), masks, strict=True)
    for (left, top, right, bottom), label, score, mask in rows:
        category_id = classes.category_ids[label]
        assert category_id is not None  # The background is in no list.
        result.append(
            {
                "image_id": image_id,
                "category_id": category_id,
                "score": round(score, _SCORE_DECIMALS),
                "bbox": [round(value, _PIXEL_DECIMALS) for value in (left, top, right - left, bottom - top)],
                "segmentation": run_lengths.encode(mask),
            }
        )
    return result
