"""The detector of ZSI: its parameters, its parts from torchvision, its losses and the synchronised background."""

import pathlib

import torch
from torch import nn
from torchvision.models.detection import anchor_utils, image_list, roi_heads, transform
from torchvision.ops import poolers

from zeroshot.base import errors, training
from zeroshot.datasets.instances import class_list
from zeroshot.zsi import background_rpn, box_head, crowd_regions, encoders, mask_head, sections

# Torchvision's names of the losses of the RPN, and the names here.
_RPN_LOSSES = {"loss_objectness": "objectness", "loss_rpn_box_reg": "rpn_box"}
# Matching and sampling of the paper, which are torchvision's defaults: anchors with an IoU of at least 0.7 are objects, below 0.3
# background; regions are objects from 0.5; a half of the anchors and a quarter of the regions are objects at most.
_RPN_MATCHING = {"fg_iou_thresh": 0.7, "bg_iou_thresh": 0.3, "positive_fraction": 0.5, "nms_thresh": 0.7}
_REGION_MATCHING = {"fg_iou_thresh": 0.5, "bg_iou_thresh": 0.5, "positive_fraction": 0.25}


class Detector(nn.Module):
    """Mask R-CNN with a background-aware RPN and heads whose scores are products with word vectors.

    Args:
        options: the section.
        vectors: (k, d) float32 word vectors of background, seen and unseen classes in label order.
        n_seen: s, the number of seen classes, labels 1 to s.

    Attributes:
        transform, backbone, rpn: torchvision's preparation of images, encoder with feature maps, and region proposal network.
        box_pool, mask_pool: pooling of regions of the feature maps.
        box_head, mask_head: the heads.
    """

    def __init__(self, options: sections.Detector, vectors: torch.Tensor, n_seen: int) -> None:
        super().__init__()
        self._sync = options.sync_background
        # Padded to multiples of the largest stride that has a map of its own.
        stride = 4 if encoders.n_levels(options.encoder) == 1 else 32
        self.transform = transform.GeneralizedRCNNTransform(
            options.min_side, options.max_side, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], size_divisible=stride
        )
        # Each part has a seed of its own, so that parts which an ablation leaves as they are have the same initial weights.
        training.seed_torch(options.seed, 0)
        self.backbone = encoders.build(options)
        training.seed_torch(options.seed, 1)
        self.rpn = _proposal_network(options, vectors[0])
        training.seed_torch(options.seed, 2)
        self.box_head = box_head.BoxHead(options.map_dim, vectors, n_seen, options.box_head)
        training.seed_torch(options.seed, 3)
        self.mask_head = mask_head.MaskHead(options.map_dim, vectors, n_seen, options.mask_head)
        levels = [str(level) for level in range(min(encoders.n_levels(options.encoder), 4))]
        self.box_pool = poolers.MultiScaleRoIAlign(levels, box_head.POOLED, sampling_ratio=2)
        self.mask_pool = poolers.MultiScaleRoIAlign(levels, mask_head.POOLED, sampling_ratio=2)
        # Torchvision's matching, sampling and coding of regions; its heads are not used.
        samples = {"batch_size_per_image": options.box_head.samples, "bbox_reg_weights": None}
        unused = {"score_thresh": 0.0, "nms_thresh": 0.0, "detections_per_img": 0}
        self.matching = roi_heads.RoIHeads(None, None, None, **_REGION_MATCHING, **samples, **unused)

    def sync_background(self) -> None:
        """Overwrite row 0 of the heads' word vectors with v_b of the RPN (Sync-bg), where it is on."""
        with torch.no_grad():
            for head, is_on in ((self.box_head, self._sync.box), (self.mask_head, self._sync.mask)):
                if is_on:
                    # The section refuses Sync-bg without it.
                    assert isinstance(self.rpn.head, background_rpn.BackgroundAwareHead)
                    head.vectors[0] = self.rpn.head.background()

    def maps(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the feature maps (b, map_dim, h, w) float32 of normalised images (b, 3, H, W), by level."""
        return {level: values.float() for level, values in self.backbone(images).items()}

    def losses(self, images: list[torch.Tensor], targets: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Return the losses of a batch, in training mode.

        Args:
            images: (3, H, W) uint8, RGB, of any sizes.
            targets: for each image `boxes` (n, 4) float32, corners x1, y1, x2, y2 in pixels; `labels` (n,) int64 of seen classes; and
                `masks` (n, H, W) uint8. n may be 0. `crowd` (m, 4) has the boxes of regions that are no background, though no object is
                annotated there.

        Returns:
            Scalars, without their weights: objectness and rpn_box of the RPN, those of `BoxHead.losses`, mask (binary cross-entropy of the
            true class's map), and mask_reconstruction, if there is a decoder.
        """
        sizes = [image.shape[-2:] for image in images]
        batch, targets = self.transform([image / 255 for image in images], targets)
        for target, size, resized in zip(targets, sizes, batch.image_sizes, strict=True):
            target["crowd"] = transform.resize_boxes(target["crowd"], [*size], [*resized])
        maps = self.maps(batch.tensors)
        proposals, rpn_losses = self.rpn(batch, maps, targets)
        losses = {_RPN_LOSSES[name]: loss for name, loss in rpn_losses.items()}
        self.sync_background()
        proposals = crowd_regions.without_crowds(proposals, targets, _REGION_MATCHING["fg_iou_thresh"])
        boxes, matches, labels, regression_targets = self.matching.select_training_samples(proposals, targets)
        features = self.box_head.features(self.box_pool(maps, boxes, batch.image_sizes))
        losses |= self.box_head.losses(features, torch.cat(labels), torch.cat(regression_targets))
        positive = [torch.nonzero(of_image > 0)[:, 0] for of_image in labels]
        boxes = [of_image[index] for of_image, index in zip(boxes, positive, strict=True)]
        matches = [of_image[index] for of_image, index in zip(matches, positive, strict=True)]
        logits, reconstruction = self.mask_head.outputs(self.mask_pool(maps, boxes, batch.image_sizes))
        masks, true_labels = [target["masks"] for target in targets], [target["labels"] for target in targets]
        losses["mask"] = roi_heads.maskrcnn_loss(logits, boxes, masks, true_labels, matches)
        if reconstruction is not None:
            losses["mask_reconstruction"] = reconstruction
        return losses

    def prepare(self, image: torch.Tensor) -> image_list.ImageList:
        """Return one image (3, H, W) uint8 as `maps` and the RPN need it: normalised, resized and padded."""
        return self.transform([image / 255])[0]


def _proposal_network(options: sections.Detector, background: torch.Tensor) -> crowd_regions.ProposalNetwork:
    sizes, ratios = options.anchors.sizes, tuple(options.anchors.ratios)
    levels = encoders.n_levels(options.encoder)
    by_level = tuple((size,) for size in sizes) if levels > 1 else (tuple(sizes),)
    anchors = anchor_utils.AnchorGenerator(by_level, (ratios,) * levels)
    n_anchors = anchors.num_anchors_per_location()[0]
    if options.rpn.background_aware:
        head: nn.Module = background_rpn.BackgroundAwareHead(options.map_dim, n_anchors, background, options.rpn.init)
    else:
        head = background_rpn.StockHead(options.map_dim, n_anchors)
    rpn = options.rpn
    return crowd_regions.ProposalNetwork(
        anchors,
        head,
        batch_size_per_image=rpn.samples,
        pre_nms_top_n={"training": rpn.candidates_train, "testing": rpn.candidates_test},
        post_nms_top_n={"training": rpn.proposals_train, "testing": rpn.proposals_test},
        **_RPN_MATCHING,
    )


def build(
    options: sections.Detector, vectors: torch.Tensor, classes: class_list.InstanceClasses, weights_path: pathlib.Path
) -> Detector:
    """Build the detector for training, with random weights from the seed and the initial weights of `weights_path` in its encoder.

    Args:
        options: the section.
        vectors: (k, d) float32 word vectors in label order.
        classes: the classes and their roles.
        weights_path: a file as in `weights.read`.

    Raises:
        weights.WeightsError: if the weights cannot be read or do not fit.
        errors.UserError: if `pretraining` cannot be true of the weights, or if an unseen class lacks a box regressor.
    """
    n_seen, n_unseen = len(classes.seen), len(classes.unseen)
    if options.box_head.regression == "official" and n_unseen > n_seen:
        raise errors.UserError(
            f"{sections.SECTION}.box_head.regression: is official, where unseen class k has the regressor of seen class k, but there are"
            f" {n_seen} seen and {n_unseen} unseen classes; set it to agnostic"
        )
    detector = Detector(options, vectors, n_seen)
    encoders.load_weights(detector.backbone, options, weights_path, sections.SECTION)
    return detector
