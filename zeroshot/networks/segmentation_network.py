"""What every segmentation network here has: `features` and a 1x1 `classifier`, and the geometry of its feature map."""

import torch
from torch import nn

# Mean and standard deviation of the channels R, G, B, from 0 to 1, that torchvision's weights were trained with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SegmentationNetwork(nn.Module):
    """A network whose last layer is a linear classifier of single pixel features.

    Attributes:
        feature_dim: d, length of a feature.
        stride: s, pixels between neighbouring cells of the feature map.
        margin: m, pixels that the map covers on each side of the image, so that cell (i, j) begins at the pixel (s i - m, s j - m).
        stem, trunk: the encoder, which gets the initial weights: the layers up to stride 4, and the others.
        dropout: of the features, in training only.
        classifier: the last layer.
    """

    feature_dim: int
    stride: int
    margin: int
    stem: nn.Module
    trunk: nn.Module
    dropout: nn.Module
    classifier: nn.Conv2d

    def __init__(self) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (b, 3, H, W) uint8, RGB, as the encoder's float input, in which zero is the ImageNet mean colour."""
        return (images / 255 - self.mean) / self.std

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the input of the last layer, non-negative (after a ReLU).

        Args:
            images: (b, 3, H, W) uint8, RGB.

        Returns:
            (b, d, ceil((H + 2 m) / s), ceil((W + 2 m) / s)) float.
        """
        raise NotImplementedError

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (b, n_classes, h, w) of uint8 images (b, 3, H, W), on the grid of `features`."""
        return self.classifier(self.dropout(self.features(images)))
