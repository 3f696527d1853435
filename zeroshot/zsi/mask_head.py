"""The semantic mask head: a semantic vector at each of 28 x 28 places of a region, and the reconstruction of its features."""

import torch
from torch import nn
from torch.nn import functional

from zeroshot.zsi import sections

# Sides of the pooled map of a region, and of its mask.
POOLED = 14
SIZE = 28


class MaskHead(nn.Module):
    """Semantic mask head (Zheng et al., section 3.4): features O, encoder to a semantic map, and decoder back to O.

    The logit of a class is the product of the semantic vector and its word vector, a fixed 1x1 convolution without bias.

    Args:
        in_channels: c, channels of the feature maps.
        vectors: (k, d) float32 word vectors of all classes in label order, the background first.
        n_seen: s, the number of seen classes, labels 1 to s.
        options: the section.

    Attributes:
        vectors: the word vectors, a buffer; Sync-bg overwrites row 0 where it is on for masks.
        projection: (s + 1, d) the word vectors that map logits of seen classes back to semantic vectors (`scoring.mask_vectors`). The
            released code never syncs their row 0, so it is the background of the file.
        n_seen: s.
    """

    def __init__(self, in_channels: int, vectors: torch.Tensor, n_seen: int, options: sections.MaskHead) -> None:
        super().__init__()
        self.n_seen = n_seen
        self.vectors: torch.Tensor
        self.projection: torch.Tensor
        self.register_buffer("vectors", vectors.clone())
        self.register_buffer("projection", vectors[: n_seen + 1].clone())
        dim = vectors.shape[1]
        # The released code declares four convolutions and feeds the input to each, so that one of them has an effect.
        layers = [_convolution(in_channels, in_channels) for _ in range(options.convolutions)]
        upsampling = nn.ConvTranspose2d(in_channels, in_channels, 2, 2)
        nn.init.kaiming_normal_(upsampling.weight, mode="fan_out", nonlinearity="relu")
        self.trunk = nn.Sequential(*layers, upsampling, nn.ReLU(inplace=True))
        self.encoder = nn.Sequential(_convolution(in_channels, dim), nn.Conv2d(dim, dim, 3, padding=1))
        # The last part, so that all others have the same initial weights with and without it.
        self.decoder = None
        if options.reconstruction:
            self.decoder = nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), _convolution(dim, in_channels))

    def maps(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return semantic maps (n, d, 28, 28) float32 of pooled regions (n, c, 14, 14)."""
        return self.encoder(self.trunk(pooled)).float()

    def outputs(self, pooled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits of background and seen classes, and the error of the reconstruction, for training.

        Args:
            pooled: (n, c, 14, 14) of regions with an object; n may be 0.

        Returns:
            logits (n, s + 1, 28, 28) float32, and the mean squared error of the decoded features; None without a decoder.
        """
        features = self.trunk(pooled)
        maps = self.encoder(features)
        rows = self.vectors[: self.n_seen + 1, :, None, None]
        logits = functional.conv2d(maps, rows).float()
        if self.decoder is None:
            return logits, None
        if not len(pooled):
            return logits, features.sum() * 0
        return logits, functional.mse_loss(self.decoder(maps).float(), features.float())


def _convolution(in_dim: int, out_dim: int) -> nn.Sequential:
    """Return a 3x3 convolution and a ReLU."""
    layer = nn.Conv2d(in_dim, out_dim, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(layer, nn.ReLU(inplace=True))
