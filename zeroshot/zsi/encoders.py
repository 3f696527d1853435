"""Encoders of the detector: torchvision's networks with a feature pyramid, and a small one that learns from nothing on small images."""

import pathlib
from collections import OrderedDict
from typing import Literal, Protocol

import torch
from torch import nn

from zeroshot.base import errors
from zeroshot.networks import pretraining, weights

Encoder = Literal["small_cnn", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_large"]
Freeze = Literal["nothing", "stem", "encoder"]
# The layers whose outputs have strides 4, 8, 16 and 32, the last of each stride, and their channels.
_LEVELS: dict[str, dict[str, int]] = {
    "resnet50": {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048},
    "resnet101": {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048},
    "mobilenet_v2": {"3": 24, "6": 32, "13": 96, "18": 1280},
    "mobilenet_v3_large": {"3": 24, "6": 40, "12": 112, "16": 960},
}


class Options(Protocol):
    """The keys of section `detector` that an encoder needs."""

    @property
    def encoder(self) -> Encoder: ...
    @property
    def pretraining(self) -> pretraining.Pretraining: ...
    @property
    def freeze(self) -> Freeze: ...
    @property
    def map_dim(self) -> int: ...


class SmallCNN(nn.Module):
    """Five 3x3 convolutions to one map of stride 4, without normalisation: group normalisation learns colours more slowly.

    Args:
        dim: channels of the map, an even number.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_channels = dim
        self.stem = nn.Sequential(*_convolution(3, dim // 2, 2), *_convolution(dim // 2, dim, 2))
        self.trunk = nn.Sequential(*_convolution(dim, dim), *_convolution(dim, dim), *_convolution(dim, dim))

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Return the map (b, dim, ceil(H / 4), ceil(W / 4)) of normalised images (b, 3, H, W), under the name of the first level."""
        return OrderedDict([("0", self.trunk(self.stem(images)))])


def n_levels(encoder: Encoder) -> int:
    """Return the number of feature maps, each with anchors of its own sizes: one, or the five of a pyramid (strides 4 to 64)."""
    return 1 if encoder == "small_cnn" else 5


def build(options: Options) -> nn.Module:
    """Return the encoder with random weights; its maps are a dictionary from the name of a level to (b, map_dim, h, w).

    An encoder with loaded weights has frozen batch normalisation, as the original. One that starts from random weights has ordinary
    batch normalisation.
    """
    if options.encoder == "small_cnn":
        encoder: nn.Module = SmallCNN(options.map_dim)
        stem, trunk = encoder.stem, encoder.trunk
        frozen = {"nothing": [], "stem": [stem], "encoder": [stem, trunk]}[options.freeze]
    else:
        import torchvision
        from torchvision.models.detection import backbone_utils

        norm = nn.BatchNorm2d if options.pretraining == "none" else torchvision.ops.FrozenBatchNorm2d
        network = torchvision.models.get_model(options.encoder, norm_layer=norm)
        levels = _LEVELS[options.encoder]
        body: nn.Module = network.get_submodule("features" if options.encoder.startswith("mobilenet") else "")
        names = {layer: str(level) for level, layer in enumerate(levels)}
        encoder = backbone_utils.BackboneWithFPN(body, names, [*levels.values()], options.map_dim)
        layers = dict(encoder.get_submodule("body").named_children())
        first = [*layers].index(next(iter(levels))) + 1
        frozen = [*layers.values()][: {"nothing": 0, "stem": first, "encoder": len(layers)}[options.freeze]]
    for module in frozen:
        module.requires_grad_(False)
    return encoder


def load_weights(encoder: nn.Module, options: Options, path: pathlib.Path, section: str) -> None:
    """Copy initial weights into an encoder of `build`, in place.

    Args:
        encoder: the encoder.
        options: the section that it was built from.
        path: a file as in `weights.read`.
        section: name of the section, for errors.

    Raises:
        weights.WeightsError: if the weights cannot be read or do not fit.
        errors.UserError: if `options.pretraining` cannot be true of the weights, or if there are none of this encoder.
    """
    pretraining.check(options.pretraining, path, section)
    if options.encoder == "small_cnn":
        if options.pretraining != "none":
            raise errors.UserError(
                f"{section}.weights: is {path}, and {section}.encoder: small_cnn has no published weights;"
                f" set {section}.weights: data/pretrained/none and {section}.pretraining: none"
            )
        return
    state = weights.read(path, options.encoder, section)
    if state is not None:
        prefix = "features." if options.encoder.startswith("mobilenet") else ""
        weights.load_body(encoder.get_submodule("body"), prefix, options.encoder, state, str(path), section)


def train_mode(encoder: nn.Module) -> None:
    """Set an encoder to training mode, but its frozen layers, whose batch statistics stay, to evaluation mode."""
    encoder.train()
    for module in encoder.modules():
        parameters = [*module.parameters()]
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _convolution(in_dim: int, out_dim: int, stride: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(in_dim, out_dim, 3, stride, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return [layer, nn.ReLU(inplace=True)]
