"""The sections detector, detection, regions and heads of zsi/params.yaml, without the networks: torchvision takes seconds to import."""

from typing import Annotated, Literal

import pydantic

from zeroshot.base import params
from zeroshot.networks import pretraining
from zeroshot.zsi import encoders

SECTION = "detector"
# The parameter with the learning rate.
LR_KEY = f"{SECTION}.lr"
# One box regressor, or one for each seen class.
Regression = Literal["agnostic", "official"]


@params.section
class Anchors:
    """The section `detector.anchors` of zsi/params.yaml."""

    sizes: Annotated[list[params.Count], pydantic.Field(min_length=1)]
    ratios: Annotated[list[params.Positive], pydantic.Field(min_length=1)]


@params.section
class SyncBackground:
    """The section `detector.sync_background` of zsi/params.yaml."""

    box: bool
    mask: bool


@params.section
class Proposals:
    """The section `detector.rpn` of zsi/params.yaml."""

    background_aware: bool
    init: Literal["unit", "released"]
    samples: params.Count
    candidates_train: params.Count
    candidates_test: params.Count
    proposals_train: params.Count
    proposals_test: params.Count


@params.section
class BoxHead:
    """The section `detector.box_head` of zsi/params.yaml."""

    hidden_dim: params.Count
    regression: Regression
    init: Literal["default", "released"]
    samples: params.Count
    reconstruction: params.NonNegative


@params.section
class MaskHead:
    """The section `detector.mask_head` of zsi/params.yaml."""

    convolutions: Annotated[int, pydantic.Field(ge=0)]
    reconstruction: params.NonNegative


@params.section
class Detector:
    """The section `detector` of zsi/params.yaml, which documents every key."""

    encoder: encoders.Encoder
    weights: params.DataPath
    pretraining: pretraining.Pretraining
    freeze: encoders.Freeze
    epochs: params.Count
    batch_size: params.Count
    optimizer: Literal["adamw", "sgd"]
    lr: params.Positive
    seed: params.Seed
    min_side: params.Count
    max_side: params.Count
    flip: params.Fraction
    map_dim: Annotated[int, pydantic.Field(ge=2, multiple_of=2)]
    anchors: Anchors
    rpn: Proposals
    sync_background: SyncBackground
    box_head: BoxHead
    mask_head: MaskHead
    warmup_steps: Annotated[int, pydantic.Field(ge=0)]
    decay_after: list[params.Count]
    momentum: params.Fraction
    weight_decay: params.NonNegative
    clip_norm: params.Positive
    precision: Literal["float32", "bfloat16"]

    @pydantic.field_validator("max_side")
    @classmethod
    def _largest(cls, value: int, info: pydantic.ValidationInfo) -> int:
        if value < info.data.get("min_side", 1):
            raise ValueError(f"must be at least min_side, {info.data['min_side']}")
        return value

    @pydantic.field_validator("anchors")
    @classmethod
    def _a_size_a_level(cls, anchors: Anchors, info: pydantic.ValidationInfo) -> Anchors:
        levels = encoders.n_levels(info.data.get("encoder", "small_cnn"))
        if levels > 1 and len(anchors.sizes) != levels:
            raise ValueError(f"{info.data['encoder']} has {levels} levels, so it needs {levels} sizes")
        return anchors

    @pydantic.field_validator("rpn")
    @classmethod
    def _enough_candidates(cls, rpn: Proposals, info: pydantic.ValidationInfo) -> Proposals:
        levels = encoders.n_levels(info.data.get("encoder", "small_cnn"))
        pairs = {
            "train": (rpn.proposals_train, rpn.candidates_train),
            "test": (rpn.proposals_test, rpn.candidates_test),
        }
        for when, (proposals, candidates) in pairs.items():
            if proposals > levels * candidates:
                raise ValueError(
                    f"proposals_{when} is {proposals}, but candidates_{when} allows {levels * candidates}; raise candidates_{when}"
                )
        return rpn

    @pydantic.field_validator("sync_background")
    @classmethod
    def _something_to_sync(cls, sync: SyncBackground, info: pydantic.ValidationInfo) -> SyncBackground:
        if (sync.box or sync.mask) and "rpn" in info.data and not info.data["rpn"].background_aware:
            raise ValueError(
                "needs rpn.background_aware: true, whose background vector it copies; set box and mask to false"
            )
        return sync


@params.section
class Detection:
    """The section `detection` of zsi/params.yaml."""

    score_threshold: params.Fraction
    nms: params.Fraction
    detections: params.Count
    mask_threshold: Annotated[params.Float, pydantic.Field(gt=0, lt=1)]


@params.section
class Regions:
    """The section `regions` of zsi/params.yaml."""

    object_iou: params.Fraction
    background_iou: params.Fraction
    background_per_image: params.Count
    evaluation_per_image: params.Count
    seed: params.Seed
    shard_mib: params.Count


@params.section
class Heads:
    """The section `heads` of zsi/params.yaml."""

    semantic_weight: params.NonNegative
