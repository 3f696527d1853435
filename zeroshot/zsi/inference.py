"""Instances of an image: regions of the backbone pass, boxes of every list of classes, and masks pasted to the image."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torchvision.models.detection import roi_heads, transform
from torchvision.ops import boxes as box_ops

from zeroshot.zsi import detector as zsi_detector
from zeroshot.zsi import mask_head, scoring, sections

# Regions whose semantic maps are computed together.
_MASKS_AT_ONCE = 64
# Sides of a box in pixels below which it is dropped, as in torchvision.
_MIN_SIDE = 0.01
# A scoring and a protocol.
Variant = tuple[scoring.Scoring, scoring.Protocol]


@dataclasses.dataclass(frozen=True)
class Regions:
    """Proposed regions of one image, from the backbone pass or from a cache.

    Attributes:
        boxes: (n, 4) float32, corners in pixels of the resized image.
        features: (n, hidden_dim) float32 of `BoxHead.features`.
        resized: height and width of the resized image.
        size: height and width of the image.
        mask_features: returns pooled maps (m, map_dim, 14, 14) of boxes (m, 4) in pixels of the resized image.
    """

    boxes: torch.Tensor
    features: torch.Tensor
    resized: tuple[int, int]
    size: tuple[int, int]
    mask_features: Callable[[torch.Tensor], torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Selection:
    """The regions that postprocessing kept: index of the region, label, score and box, each (m, ...), list by list, best first."""

    regions: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor
    boxes: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Detections:
    """Instances of one image, list by list, best first.

    Attributes:
        boxes: (m, 4) float32, corners x1, y1, x2, y2 in pixels of the image.
        labels: (m,) int64, those of `class_list.InstanceClasses`.
        scores: (m,) float32.
        masks: (m, 28, 28) float32 probabilities in the frame of each box.
        size: height and width of the image.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor
    masks: torch.Tensor
    size: tuple[int, int]

    def pasted_masks(self, threshold: float) -> Iterator[np.ndarray]:
        """Yield the mask (H, W) bool of each instance, in pixels of the image; one at a time, because all may need gigabytes."""
        for mask, box in zip(self.masks.cpu(), self.boxes.cpu(), strict=True):
            pasted = roi_heads.paste_masks_in_image(mask[None, None], box[None], self.size)
            yield (pasted[0, 0] > threshold).numpy()


@torch.no_grad()
def regions(detector: zsi_detector.Detector, image: torch.Tensor) -> Regions:
    """Run the encoder, the RPN and the shared layers of the box head on one image; Sync-bg is done.

    Args:
        detector: in evaluation mode.
        image: (3, H, W) uint8, RGB, on the detector's device. Images go one by one, because padding to the largest one of a batch would
            change the results.
    """
    batch = detector.prepare(image)
    maps = detector.maps(batch.tensors)
    (boxes,), _ = detector.rpn(batch, maps)
    detector.sync_background()
    features = detector.box_head.features(detector.box_pool(maps, [boxes], batch.image_sizes))
    return Regions(
        boxes,
        features,
        batch.image_sizes[0],
        (image.shape[1], image.shape[2]),
        lambda chosen: detector.mask_pool(maps, [chosen], batch.image_sizes),
    )


def select(
    lists: Sequence[tuple[range, torch.Tensor]],
    boxes: torch.Tensor,
    columns: Callable[[torch.Tensor], torch.Tensor],
    options: sections.Detection,
) -> Selection:
    """Threshold, suppress and cut each list of classes on its own, and join the lists.

    As in the released code, nothing suppresses a seen class for an unseen one, and a region may have both.

    Args:
        lists: labels and scores (n, number of labels), as `scoring.class_lists` returns them.
        boxes: (n, r, 4) float32, the boxes of each region by regressor, inside the image.
        columns: maps labels (m,) to regressors, as `BoxHead.columns` does.
        options: the least score, the IoU of the non-maximum suppression of each class, and the most detections of each list.
    """
    parts = []
    for labels, scores in lists:
        regions, places = torch.nonzero(scores > options.score_threshold, as_tuple=True)
        part = Selection(
            regions,
            labels.start + places,
            scores[regions, places],
            boxes[regions, columns(labels.start + places)],
        )
        part = _keep(part, box_ops.remove_small_boxes(part.boxes, _MIN_SIDE))
        kept = box_ops.batched_nms(part.boxes, part.scores, part.labels, options.nms)
        parts.append(_keep(part, kept[: options.detections]))
    return Selection(
        *(torch.cat([getattr(part, field.name) for part in parts]) for field in dataclasses.fields(Selection))
    )


@torch.no_grad()
def detect(
    detector: zsi_detector.Detector, of_image: Regions, variants: Sequence[Variant], options: sections.Detection
) -> list[Detections]:
    """Return the instances of one image by several scorings and protocols; a mask that several need is computed once.

    Args:
        detector: in evaluation mode.
        of_image: the regions of the image.
        variants: scoring and protocol of each result.
        options: the section.
    """
    head = detector.box_head
    semantics, deltas = head.semantics(of_image.features), head.deltas(of_image.features)
    boxes = detector.matching.box_coder.decode(deltas.flatten(1), [of_image.boxes]).view(-1, head.n_columns, 4)
    boxes = box_ops.clip_boxes_to_image(boxes, of_image.resized)
    selections = [
        select(scoring.class_lists(semantics, head.vectors, head.n_seen, kind, protocol), boxes, head.columns, options)
        for kind, protocol in variants
    ]
    # The mask of a box depends on the region and the regressor alone, not on the class.
    keys = [selection.regions * head.n_columns + head.columns(selection.labels) for selection in selections]
    unique, positions = torch.cat(keys).unique(return_inverse=True)
    places = positions.split([len(part) for part in keys])
    masks = _masks(detector, of_image, boxes.flatten(0, 1)[unique], variants, selections, places)
    return [
        Detections(
            transform.resize_boxes(selection.boxes, [*of_image.resized], [*of_image.size]),
            selection.labels,
            selection.scores,
            of_variant,
            of_image.size,
        )
        for selection, of_variant in zip(selections, masks, strict=True)
    ]


def _masks(
    detector: zsi_detector.Detector,
    of_image: Regions,
    boxes: torch.Tensor,
    variants: Sequence[Variant],
    selections: Sequence[Selection],
    places: Sequence[torch.Tensor],
) -> list[torch.Tensor]:
    """Return mask probabilities (m, 28, 28) of each selection; `places` has the index in `boxes` of each of its detections."""
    head = detector.mask_head
    vectors = [
        scoring.mask_vectors(head.vectors, head.projection, head.n_seen, kind)[selection.labels]
        for (kind, _), selection in zip(variants, selections, strict=True)
    ]
    masks = [boxes.new_zeros(len(selection.labels), mask_head.SIZE, mask_head.SIZE) for selection in selections]
    for start in range(0, len(boxes), _MASKS_AT_ONCE):
        chunk = boxes[start : start + _MASKS_AT_ONCE]
        maps = head.maps(of_image.mask_features(chunk))  # (c, d, 28, 28)
        for place, of_variant, weights in zip(places, masks, vectors, strict=True):
            inside = torch.nonzero((place >= start) & (place < start + len(chunk)))[:, 0]
            logits = torch.einsum("nd,ndhw->nhw", weights[inside], maps[place[inside] - start])
            of_variant[inside] = logits.sigmoid()
    return masks


def _keep(selection: Selection, index: torch.Tensor) -> Selection:
    return Selection(*(getattr(selection, field.name)[index] for field in dataclasses.fields(Selection)))
