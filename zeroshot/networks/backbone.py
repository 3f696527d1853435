"""The backbone's parameters (paper section 2.2, step 0, and section 3.1); construction, loading and features of any network."""

import pathlib
from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

import pydantic
import torch
import typing_extensions

from zeroshot.base import checkpoints, params, training
from zeroshot.networks import (
    augmentation,
    deeplab,
    fcn32s,
    optimisation,
    pretraining,
    segmentation_network,
    semantic_head,
    weights,
)

# The parameter with the learning rate of a network, unless its checkpoint names another one.
LR_KEY = "backbone.lr"


@params.section
class Params:
    """The section `backbone`; see params.yaml."""

    encoder: deeplab.Encoder
    weights: params.DataPath
    pretraining: pretraining.Pretraining
    freeze: Literal["nothing", "stem", "encoder"]
    epochs: params.Count
    batch_size: Annotated[int, pydantic.Field(ge=2)]
    lr: params.Positive
    head_lr_multiplier: params.Positive
    seed: params.Seed
    augmentation: augmentation.Params
    semantic: semantic_head.Params
    output_stride: Literal[8, 16]
    separable: bool
    dropout: params.Fraction
    loss_at: Literal["image", "features"]
    momentum: params.Fraction
    weight_decay: params.NonNegative
    repeat_threshold: params.Fraction
    precision: Literal["float32", "bfloat16"]

    def recipe(self) -> optimisation.Recipe:
        """Return the recipe of training."""
        return optimisation.polynomial_sgd(self.lr, self.head_lr_multiplier, self.momentum, self.weight_decay)


class Architecture(Protocol):
    """The keys of a network's section that `new_network` needs."""

    @property
    def encoder(self) -> weights.Encoder: ...
    @property
    def output_stride(self) -> int: ...
    @property
    def separable(self) -> bool: ...
    @property
    def dropout(self) -> float: ...


class Options(Architecture, Protocol):
    """The keys of a network's section that `build` needs."""

    @property
    def pretraining(self) -> pretraining.Pretraining: ...
    @property
    def seed(self) -> int: ...


def _check_last_layer(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict that has the last layer, which other stages read by name."""
    missing = [name for name in ("classifier.weight", "classifier.bias") if name not in state]
    if missing:
        raise ValueError(f"lacks {', '.join(missing)}")
    return state


class Entries(checkpoints.Configured):
    """A trained network in a checkpoint: the section `backbone`, the state dict, and the key of the learning rate if not `LR_KEY`."""

    network: Annotated[dict[str, torch.Tensor], pydantic.AfterValidator(_check_last_layer)]
    lr_key: typing_extensions.NotRequired[str]


class Checkpoint(Entries):
    """The file of a trained network: `Entries`, the label ids and names of the seen classes, and `side` of `splits.Training`."""

    seen: list[int]
    names: list[str]
    side: int


def build(
    options: Options, n_outputs: int, weights_path: pathlib.Path, section: str = "backbone"
) -> segmentation_network.SegmentationNetwork:
    """Build the network for training, with random weights from the seed and the initial weights of `weights_path` in its encoder.

    Args:
        options: the network's section of params.yaml.
        n_outputs: number of outputs of the last layer.
        weights_path: a file as in `weights.read`.
        section: name of the section, for errors.

    Raises:
        weights.WeightsError: if the weights cannot be read or do not fit.
        errors.UserError: if `options.pretraining` cannot be true of the weights.
    """
    pretraining.check(options.pretraining, weights_path, section)
    training.seed_torch(options.seed)
    network = new_network(options, n_outputs)
    state = weights.read(weights_path, options.encoder, section)
    if state is not None:
        weights.load_encoder(network, options.encoder, state, str(weights_path), section)
    return network


def new_network(options: Architecture, n_outputs: int) -> segmentation_network.SegmentationNetwork:
    """Return the network with random weights."""
    if options.encoder == "vgg16_fcn32s":
        return fcn32s.FCN32s(n_outputs, options.dropout)
    return deeplab.DeepLabV3Plus(options.encoder, options.output_stride, n_outputs, options.separable, options.dropout)


def build_semantic_head(classes: torch.Tensor, options: Params) -> semantic_head.SemanticHead:
    """Build the head of the semantic loss for class vectors (c, d_a) float32 of length 1; its initial weights follow from the seed."""
    training.seed_torch(options.seed)
    return semantic_head.SemanticHead(classes, deeplab.FEATURE_DIM, options.semantic)


def load(
    checkpoint: dict[str, Any], cls: type[Architecture] = Params, section: str = "backbone"
) -> segmentation_network.SegmentationNetwork:
    """Rebuild a trained network from its checkpoint, in evaluation mode.

    Args:
        checkpoint: the entries of `Entries`.
        cls: the dataclass of its configuration.
        section: the name of that section, for errors.
    """
    where = f"{section} checkpoint"
    options = params.build(checkpoint["config"], cls, section, where)
    network = new_network(options, len(checkpoint["network"]["classifier.bias"]))
    checkpoints.load_weights(network, checkpoint["network"], where)
    return network.eval()


def extractor(
    network: segmentation_network.SegmentationNetwork, device: torch.device, precision: str
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function from images (b, 3, H, W) uint8 to features (b, d, h, w), without gradients."""
    network = network.to(device).to(memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def extract(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return network.features(images.to(device, memory_format=torch.channels_last))

    return extract
