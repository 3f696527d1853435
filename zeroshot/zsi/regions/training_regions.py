"""Regions of training images with the class of the object that they show, as rows of the feature cache."""

import numpy as np
import torch
from torchvision.models.detection import transform
from torchvision.ops import boxes as box_ops

from zeroshot.cache import rows
from zeroshot.images import label_ids
from zeroshot.zsi import crowd_regions, inference, sections
from zeroshot.zsi import detector as zsi_detector


def of_image(
    detector: zsi_detector.Detector,
    image: torch.Tensor,
    target: dict[str, torch.Tensor],
    number: int,
    options: sections.Regions,
) -> rows.Rows:
    """Return the rows of one image: its annotated boxes, proposals on an object, and a sample of proposals on none.

    A proposal shows the object with the largest IoU if that is at least `object_iou`, and background if it is below `background_iou`;
    others are left out, since they show a part of an object, and so is background in a crowd region.

    Args:
        detector: in evaluation mode.
        image: (3, H, W) uint8, RGB, on the detector's device.
        target: `boxes` (m, 4) float32 in pixels of the image and `labels` (m,) int64 of seen classes, m may be 0, and `crowd` (c, 4).
        number: the image's number in the cache.
        options: the section.

    Returns:
        The columns of `rows.write`, unsorted. `position` is the centre of the region in pixels, `component` the number of the object
        from 1, and of each background region a number of its own after them. Every row has weight 1.
    """
    size = (image.shape[1], image.shape[2])
    found = inference.regions(detector, image, target["boxes"])
    boxes = transform.resize_boxes(found.boxes, list(found.resized), list(size))
    labels, objects = label(boxes, target["boxes"].to(boxes), target["labels"].to(boxes.device), options)
    labels[(labels == label_ids.BACKGROUND) & crowd_regions.may_show(boxes, target["crowd"].to(boxes))] = -1
    kept = torch.nonzero(labels > label_ids.BACKGROUND)[:, 0].cpu().numpy()
    background = torch.nonzero(labels == label_ids.BACKGROUND)[:, 0].cpu().numpy()
    if len(background) > options.background_per_image:
        random = np.random.default_rng([options.seed, number])
        background = np.sort(random.choice(background, options.background_per_image, replace=False))
    chosen = np.concatenate([kept, background])
    component = objects.cpu().numpy()[chosen] + 1
    component[len(kept) :] = len(target["boxes"]) + 1 + np.arange(len(background))
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).flip(1).cpu().numpy()[chosen]
    return {
        "features": found.features.cpu().numpy()[chosen].astype(np.float16),
        "label": labels.cpu().numpy()[chosen].astype(label_ids.DTYPE),
        "image": np.full(len(chosen), number, np.int32),
        "view": np.zeros(len(chosen), np.uint8),
        "position": centres.clip(0, np.iinfo(np.uint16).max).astype(np.uint16),
        "component": component.astype(np.int32),
        "weight": np.ones(len(chosen), np.float32),
    }


def label(
    boxes: torch.Tensor, objects: torch.Tensor, labels: torch.Tensor, options: sections.Regions
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the label (n,) int64 of each region, -1 where it shows a part of an object, and the index (n,) of the nearest object.

    Args:
        boxes: (n, 4) float32 of the regions.
        objects: (m, 4) float32 of the annotated objects; m may be 0.
        labels: (m,) int64 of the objects.
        options: the section.
    """
    if not len(objects):
        nothing = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        return nothing, nothing.clone()
    ious, nearest = box_ops.box_iou(boxes, objects).max(dim=1)
    part = torch.where(ious < options.background_iou, label_ids.BACKGROUND, -1)
    return torch.where(ious >= options.object_iou, labels[nearest], part), nearest
