"""FCN-32s on VGG-16 (Long et al., CVPR 2015), the network of SZN (Doshi 2018), as `features` and a 1x1 `classifier`."""

import collections
from typing import Literal

import torch
from torch import nn

from zeroshot.networks import segmentation_network

Encoder = Literal["vgg16_fcn32s"]
# Torchvision's name of the classification network.
TORCHVISION = "vgg16"
# Layers of VGG-16 up to its second pooling, which gives stride 4.
_N_STEM = 10
# Padding of the first convolution. It makes the map larger than the image by the seven cells that fc6 takes, and by the margin.
_PADDING = 100


class FCN32s(segmentation_network.SegmentationNetwork):
    """VGG-16 whose fully connected layers fc6 and fc7 are convolutions, with a linear classifier of single pixel features.

    After the padding of 100 and five poolings that round up, a side of H pixels has ceil((H + 198) / 32) cells, and the 7x7 window of fc6
    leaves ceil((H + 6) / 32). The original upsamples by a transposed convolution (kernel 64, stride 32, bilinear, not trained) and crops
    at pixel 19. So cell i is centred at pixel 32 i + 31.5 - 19 = 32 i + 12.5: the map is that of the image with a margin of 3 pixels on
    each side, and `grids.upsample`, followed by a cut of the margin, is the same interpolation. They differ in the outermost 13 pixels
    only, where the original's weights sum to less than one, by one factor for all classes.

    Images are normalised as for torchvision's weights (RGB, mean and standard deviation of ImageNet). The original has weights of Caffe,
    which expect BGR from 0 to 255 without a mean; with torchvision's weights that input would be wrong.

    Args:
        n_classes: number of outputs of the classifier.
        dropout: probability that a channel is dropped after fc6 and after fc7, in training only; the original has 0.5.
    """

    feature_dim = 4096
    stride = 32
    margin = 3

    def __init__(self, n_classes: int, dropout: float) -> None:
        # Importing torchvision takes seconds, so it is imported only where a network is built.
        from torchvision.models import vgg

        super().__init__()
        convolutions = vgg.make_layers(vgg.cfgs["D"])
        kernels = [layer for layer in convolutions if isinstance(layer, nn.Conv2d)]
        kernels[0].padding = (_PADDING, _PADDING)
        for layer in convolutions:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        self.stem = convolutions[:_N_STEM]
        self.trunk = nn.Sequential(
            collections.OrderedDict(
                [
                    *convolutions[_N_STEM:].named_children(),
                    ("fc6", nn.Conv2d(kernels[-1].out_channels, self.feature_dim, 7)),
                    ("relu6", nn.ReLU(inplace=True)),
                    ("dropout6", nn.Dropout2d(dropout)),
                    ("fc7", nn.Conv2d(self.feature_dim, self.feature_dim, 1)),
                    ("relu7", nn.ReLU(inplace=True)),
                ]
            )
        )
        for layer in (*self.stem, *self.trunk):
            # Torchvision's initial weights of VGG. With PyTorch's own, activations vanish over 15 layers.
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.dropout = nn.Dropout2d(dropout)
        # PyTorch's initial weights, since a zero vector has no direction for the cosine loss.
        self.classifier = nn.Conv2d(self.feature_dim, n_classes, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return fc7, (b, 4096, ceil((H + 6) / 32), ceil((W + 6) / 32)) float, of images (b, 3, H, W) uint8."""
        return self.trunk(self.stem(self.normalise(images)))


def torchvision_views(network: FCN32s) -> dict[str, torch.Tensor]:
    """Return the name of each weight of the encoder in torchvision's VGG-16 -> the weight, viewed in torchvision's shape.

    There fc6 and fc7 are linear layers: their kernels (4096, d, k, k) are matrices (4096, d k k).
    """
    linear = {"fc6": "classifier.0", "fc7": "classifier.3"}
    found = {}
    for part in (network.stem, network.trunk):
        for name, value in part.state_dict().items():
            layer, _, kind = name.partition(".")
            if layer in linear:
                found[f"{linear[layer]}.{kind}"] = value.flatten(1) if kind == "weight" else value
            else:
                found[f"features.{name}"] = value
    return found
