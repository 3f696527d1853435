"""The semantic head: an auxiliary training loss that gives similar features to classes with similar vectors."""

import torch
from torch import nn
from torch.nn import functional

from zeroshot.base import params


@params.section
class Params:
    """The section `backbone.semantic`; see params.yaml."""

    vectors: params.DataPath
    weight: params.Positive
    scale: params.Positive


def directions(vectors: torch.Tensor) -> torch.Tensor:
    """Return class vectors scaled to length 1, as DeViSE, ALE and SPNet use them.

    A zero vector (the background with `embeddings.background: zero`) has no direction. It gets an extra dimension, orthogonal to all
    other classes, so that every cosine is defined.

    Args:
        vectors: (c, d_a) float32.

    Returns:
        (c, d_a) float32; (c, d_a + 1) where a vector is zero.
    """
    is_zero = (vectors == 0).all(dim=1)
    if is_zero.any():
        vectors = torch.cat([vectors, is_zero[:, None].to(vectors.dtype)], dim=1)
    return functional.normalize(vectors, dim=1)


class SemanticHead(nn.Module):
    """Logits that are scaled cosines between class vectors and a 1x1 projection of the features.

    The softmax over class vectors is that of SPNet (Xian et al., CVPR 2019, section 3.1). Cosines replace its inner products, so that
    the length of a projected feature cannot express confidence. The head is an auxiliary loss and is removed after training.

    Args:
        classes: (c, d_a) float32 vectors of length 1 of the seen classes only, in the order of the network's outputs.
        feature_dim: d, channels of the features.
        options: the scale of the logits, and the weight of the loss, which the caller applies.
    """

    def __init__(self, classes: torch.Tensor, feature_dim: int, options: Params) -> None:
        super().__init__()
        self.project = nn.Conv2d(feature_dim, classes.shape[1], 1)
        self.weight = options.weight
        self.scale = options.scale
        self.classes: torch.Tensor
        self.register_buffer("classes", classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (b, c, h, w) float32 logits of features (b, d, h, w); in mixed precision only the projection has half precision."""
        projected = self.project(features)
        with torch.autocast(projected.device.type, enabled=False):
            cosines = functional.conv2d(functional.normalize(projected.float(), dim=1), self.classes[:, :, None, None])
        return self.scale * cosines
