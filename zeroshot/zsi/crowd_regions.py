"""Crowd regions of training images, whose objects have no boxes of their own: nothing in the box of one is taken for background."""

import torch
from torchvision.models.detection import rpn
from torchvision.ops import boxes as box_ops

# Share of a box inside of the box of a crowd region from which it may show an object of the crowd.
_INSIDE = 0.5
# Labels of anchors in torchvision: background, and what its sampler leaves out.
_BACKGROUND, _LEFT_OUT = 0, -1


def may_show(boxes: torch.Tensor, crowd: torch.Tensor) -> torch.Tensor:
    """Return whether at least a half of each box lies in the box of one crowd region, as pycocotools compares boxes with those of crowds.

    Args:
        boxes: (n, 4) float32, corners x1, y1, x2, y2.
        crowd: (m, 4) float32, the boxes of crowd regions in the same pixels; m may be 0.

    Returns:
        (n,) bool.
    """
    if not len(crowd):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    low, high = torch.maximum(boxes[:, None, :2], crowd[:, :2]), torch.minimum(boxes[:, None, 2:], crowd[:, 2:])
    common = (high - low).clamp(min=0).prod(dim=2).amax(dim=1)
    return common >= _INSIDE * box_ops.box_area(boxes)


def without_crowds(
    proposals: list[torch.Tensor], targets: list[dict[str, torch.Tensor]], object_iou: float
) -> list[torch.Tensor]:
    """Return the proposals (n, 4) of each image without those that may show an object of its crowd and show no annotated object.

    Args:
        proposals: (n, 4) float32 of each image.
        targets: of each image `boxes` (k, 4) of its objects and `crowd` (m, 4).
        object_iou: IoU with an object from which a proposal shows it.
    """
    kept = []
    for boxes, target in zip(proposals, targets, strict=True):
        left_out = may_show(boxes, target["crowd"])
        if len(target["boxes"]):
            left_out &= box_ops.box_iou(boxes, target["boxes"].to(boxes)).amax(dim=1) < object_iou
        kept.append(boxes[~left_out])
    return kept


class ProposalNetwork(rpn.RegionProposalNetwork):
    """Torchvision's region proposal network, where anchors that may show an object of a crowd take no part in the loss as background."""

    def assign_targets_to_anchors(
        self, anchors: list[torch.Tensor], targets: list[dict[str, torch.Tensor]]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return torchvision's labels (n,) of the anchors of each image and their boxes (n, 4), with label -1 for such anchors."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for of_image, places, target in zip(labels, anchors, targets, strict=True):
            of_image[(of_image == _BACKGROUND) & may_show(places, target["crowd"])] = _LEFT_OUT
        return labels, boxes
