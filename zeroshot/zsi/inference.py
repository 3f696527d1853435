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
# Maps indices of boxes (m,), as in `refined_boxes` flattened, and these boxes (m, 4) to pooled maps (m, map_dim, 14, 14).
MaskFeatures = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Regions:
    """Proposed regions of one image, from the backbone pass or from a cache.

    Attributes:
        boxes: (n, 4) float32, corners in pixels of the resized image.
        features: (n, hidden_dim) float32 of `BoxHead.features`.
        resized: height and width of the resized image.
        size: height and width of the image.
        mask_features: gives the pooled maps of refined boxes.
    """

    boxes: torch.Tensor
    features: torch.Tensor
    resized: tuple[int, int]
    size: tuple[int, int]
    mask_features: MaskFeatures

    def surest(self, most: int) -> "Regions":
        """Return the first `most` regions, which the RPN is surest of."""
        return dataclasses.replace(self, boxes=self.boxes[:most], features=self.features[:most])


@dataclasses.dataclass(frozen=True)
class Labelling:
    """How regions get labels and masks.

    Attributes:
        lists: the lists of classes that postprocessing cuts separately, as `scoring.class_lists` returns them.
        mask_vectors: (k, d) float32, the vector of each label, whose products with the semantic map of a region are its mask logits.
    """

    lists: Sequence[tuple[range, torch.Tensor]]
    mask_vectors: torch.Tensor


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
def regions(detector: zsi_detector.Detector, image: torch.Tensor, further: torch.Tensor | None = None) -> Regions:
    """Run the encoder, the RPN and the shared layers of the box head on one image; Sync-bg is done.

    Args:
        detector: in evaluation mode.
        image: (3, H, W) uint8, RGB, on the detector's device. Images go one by one, because padding to the largest one of a batch would
            change the results.
        further: (m, 4) float32 boxes in pixels of the image, which become regions after the proposals.
    """
    batch = detector.prepare(image)
    maps = detector.maps(batch.tensors)
    (boxes,), _ = detector.rpn(batch, maps)
    detector.sync_background()
    if further is not None:
        size = (image.shape[1], image.shape[2])
        boxes = torch.cat([boxes, transform.resize_boxes(further.to(boxes), [*size], [*batch.image_sizes[0]])])
    features = detector.box_head.features(detector.box_pool(maps, [boxes], batch.image_sizes))
    return Regions(
        boxes,
        features,
        batch.image_sizes[0],
        (image.shape[1], image.shape[2]),
        lambda index, chosen: detector.mask_pool(maps, [chosen], batch.image_sizes),
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
    semantics = detector.box_head.semantics(of_image.features)
    labellings = [labelling(detector, semantics, kind, protocol) for kind, protocol in variants]
    return find(detector, of_image, labellings, options)


def labelling(
    detector: zsi_detector.Detector,
    semantics: torch.Tensor,
    kind: scoring.Scoring,
    protocol: scoring.Protocol,
    among: Sequence[int] | None = None,
) -> Labelling:
    """Return how a scoring labels regions with semantic vectors (n, d); `among` is that of `scoring.class_lists`."""
    head, masks = detector.box_head, detector.mask_head
    lists = scoring.class_lists(semantics, head.vectors, head.n_seen, kind, protocol, among)
    return Labelling(lists, scoring.mask_vectors(masks.vectors, masks.projection, masks.n_seen, kind))


def refined_boxes(detector: zsi_detector.Detector, of_image: Regions) -> torch.Tensor:
    """Return the boxes (n, r, 4) float32 of each region by regressor, inside the resized image."""
    head = detector.box_head
    deltas = head.deltas(of_image.features)
    boxes = detector.matching.box_coder.decode(deltas.flatten(1), [of_image.boxes]).view(-1, head.n_columns, 4)
    return box_ops.clip_boxes_to_image(boxes, of_image.resized)


@torch.no_grad()
def find(
    detector: zsi_detector.Detector, of_image: Regions, labellings: Sequence[Labelling], options: sections.Detection
) -> list[Detections]:
    """Return the instances of one image by several labellings; a mask that several need is computed once.

    Args:
        detector: in evaluation mode; its box regressor and its mask head are used.
        of_image: the regions of the image.
        labellings: scores of the regions and vectors of the masks.
        options: the section.
    """
    head = detector.box_head
    boxes = refined_boxes(detector, of_image)
    selections = [select(labelling.lists, boxes, head.columns, options) for labelling in labellings]
    # The mask of a box depends on the region and the regressor alone, not on the class.
    keys = [selection.regions * head.n_columns + head.columns(selection.labels) for selection in selections]
    unique, positions = torch.cat(keys).unique(return_inverse=True)
    places = positions.split([len(part) for part in keys])
    vectors = [
        labelling.mask_vectors[selection.labels] for labelling, selection in zip(labellings, selections, strict=True)
    ]
    masks = _masks(detector, of_image, unique, boxes.flatten(0, 1)[unique], vectors, places)
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
    index: torch.Tensor,
    boxes: torch.Tensor,
    vectors: Sequence[torch.Tensor],
    places: Sequence[torch.Tensor],
) -> list[torch.Tensor]:
    """Return mask probabilities (m, 28, 28) for each list of the mask vectors (m, d) of detections.

    `index` (b,) and `boxes` (b, 4) are those of `MaskFeatures`; `places` has the position in them of each detection, list by list.
    """
    head = detector.mask_head
    masks = [boxes.new_zeros(len(weights), mask_head.SIZE, mask_head.SIZE) for weights in vectors]
    for start in range(0, len(boxes), _MASKS_AT_ONCE):
        chunk = boxes[start : start + _MASKS_AT_ONCE]
        maps = head.maps(of_image.mask_features(index[start : start + _MASKS_AT_ONCE], chunk))  # (c, d, 28, 28)
        for place, of_variant, weights in zip(places, masks, vectors, strict=True):
            inside = torch.nonzero((place >= start) & (place < start + len(chunk)))[:, 0]
            logits = torch.einsum("nd,ndhw->nhw", weights[inside], maps[place[inside] - start])
            of_variant[inside] = logits.sigmoid()
    return masks


def _keep(selection: Selection, index: torch.Tensor) -> Selection:
    return Selection(*(getattr(selection, field.name)[index] for field in dataclasses.fields(Selection)))
