"""DeepLabv3+ (Chen et al., ECCV 2018) from torchvision parts, as `features` and a 1x1 `classifier` (paper section 2.2, step 0)."""

from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from zeroshot.images import grids
from zeroshot.networks import segmentation_network

Encoder = Literal["resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2"]
FEATURE_DIM = 256
_LOW_LEVEL_DIM = 48


class DeepLabV3Plus(segmentation_network.SegmentationNetwork):
    """DeepLabv3+: an encoder, atrous spatial pyramid pooling and a decoder at stride 4.

    Args:
        encoder: name of the torchvision classification network that serves as encoder.
        output_stride: 16 or 8, the stride of the encoder's last feature map.
        n_classes: number of outputs of the classifier.
        separable: use depthwise separable 3x3 convolutions in the decoder, as Chen et al. do. They need about a seventh of the
            multiplications. The released ZS3 code has ordinary convolutions.
        dropout: probability of the dropout before the classifier. The ASPP has torchvision's fixed dropout of 0.5.
    """

    feature_dim = FEATURE_DIM
    stride = grids.STRIDE
    margin = 0

    def __init__(self, encoder: Encoder, output_stride: int, n_classes: int, separable: bool, dropout: float) -> None:
        # Importing torchvision takes seconds, so it is imported only where a network is built.
        import torchvision
        from torchvision.models.segmentation import deeplabv3

        super().__init__()
        self.output_stride = output_stride
        self.stem, self.trunk, low_dim, high_dim = cut_encoder(
            encoder, torchvision.models.get_model(encoder), output_stride
        )
        self.aspp = deeplabv3.ASPP(high_dim, [6, 12, 18] if output_stride == 16 else [12, 24, 36], FEATURE_DIM)
        self.low_level = nn.Sequential(
            nn.Conv2d(low_dim, _LOW_LEVEL_DIM, 1, bias=False), nn.BatchNorm2d(_LOW_LEVEL_DIM), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            *_conv3x3(FEATURE_DIM + _LOW_LEVEL_DIM, FEATURE_DIM, separable),
            *_conv3x3(FEATURE_DIM, FEATURE_DIM, separable),
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(FEATURE_DIM, n_classes, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the input of the last layer, (b, 256, ceil(H / 4), ceil(W / 4)) float, of images (b, 3, H, W) uint8."""
        height, width = images.shape[-2:]
        # At sides that are no multiple of the output stride the two resolutions below would not show the same places. A padded pixel has
        # the ImageNet mean colour.
        low = self.stem(grids.pad(self.normalise(images), self.output_stride))
        context = self.aspp(self.trunk(low))
        context = functional.interpolate(context, size=low.shape[-2:], mode="bilinear", align_corners=False)
        h, w = grids.map_size(height, width, grids.STRIDE)
        return self.decoder(torch.cat([context, self.low_level(low)], dim=1))[..., :h, :w]


def cut_encoder(encoder: Encoder, network: Any, output_stride: int) -> tuple[nn.Module, nn.Module, int, int]:
    """Split a torchvision classification network into the two parts of a DeepLabv3+ encoder; its strides are changed in place.

    Returns:
        The layers up to stride 4, the layers from there to `output_stride`, and the output channels of each part.
    """
    if encoder == "mobilenet_v2":
        blocks = network.features
        stages = [blocks[4:7], blocks[7:14], blocks[14:18]]
        stem, low_dim, high_dim = blocks[:4], 24, 320
    else:
        stages = [network.layer2, network.layer3, network.layer4]
        stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool, network.layer1)
        expansion = network.layer1[0].expansion
        low_dim, high_dim = 64 * expansion, 512 * expansion
    rate = 1
    for stage in stages[1 if output_stride == 8 else 2 :]:
        rate *= 2
        _dilate(stage, rate)
    return stem, nn.Sequential(*stages), low_dim, high_dim


def _conv3x3(in_dim: int, out_dim: int, separable: bool) -> list[nn.Module]:
    if not separable:
        convolutions = [nn.Conv2d(in_dim, out_dim, 3, padding=1, bias=False)]
    else:
        convolutions = [
            nn.Conv2d(in_dim, in_dim, 3, padding=1, groups=in_dim, bias=False),
            nn.BatchNorm2d(in_dim),
            nn.Conv2d(in_dim, out_dim, 1, bias=False),
        ]
    return [*convolutions, nn.BatchNorm2d(out_dim), nn.ReLU()]


def _dilate(stage: nn.Module, rate: int) -> None:
    """Set the strides in `stage` to 1 and dilate its 3x3 convolutions by `rate`; the convolution that had stride 2 gets half of it."""
    for module in stage.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        dilation = rate // 2 if module.stride == (2, 2) else rate
        module.stride = (1, 1)
        if module.kernel_size == (3, 3):
            module.dilation = module.padding = (dilation, dilation)
