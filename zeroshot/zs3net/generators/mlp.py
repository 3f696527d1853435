"""The generative moment matching network: a perceptron trained by MMD (paper section 2.2, step 1)."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from zeroshot.cache import pools
from zeroshot.zs3net.generators import generator, matching


class MLP(generator.Generator):
    """The paper's generator G(a, z): one hidden layer, leaky ReLU, dropout (section 3.1).

    Options: `noise_dim` is the length of the noise z, `hidden_dim` the number of hidden neurons. `dropout` acts in training mode only.
    `output` is `linear` (paper) or `relu`: real features are the output of a ReLU, so they are never negative. `precision` is the number
    format of the products.
    """

    def __init__(self, options: generator.Options, embeddings: torch.Tensor, feature_dim: int) -> None:
        super().__init__(options, embeddings, feature_dim)
        # The first layer reads the class embedding and then the noise.
        self.layers = nn.Sequential(
            nn.Linear(embeddings.shape[1] + options.noise_dim, options.hidden_dim),
            nn.LeakyReLU(0.2),
            nn.Dropout(options.dropout),
            nn.Linear(options.hidden_dim, feature_dim),
            nn.ReLU() if options.output == "relu" else nn.Identity(),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.constant_(layer.bias, 0.01)

    def forward(self, labels: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return features (..., d) float32 of label ids (...,) on `device` and noise (..., noise_dim)."""
        first = cast(nn.Linear, self.layers[0])
        on_classes, on_noise = first.weight.split([self.embeddings.shape[1], self.options.noise_dim], dim=1)
        with torch.autocast(noise.device.type, torch.bfloat16, enabled=self.options.precision == "bfloat16"):
            # The part of a class is computed once for all of its features: half of the products of this layer. Its gradient is a sum
            # over these features, which needs float32.
            of_class = functional.linear(self.embeddings, on_classes, first.bias).float()
            hidden = functional.embedding(labels, of_class) + functional.linear(noise, on_noise)
            features = self.layers[1:](hidden)
        return features.float()

    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return features (..., d) of labels (...,), each from its class embedding and independent noise."""
        return self(labels.to(self.device), self.noise(labels.shape, random))

    def epochs(self, real: pools.Pool, context: Any) -> Iterator[dict[str, Any]]:
        """Train by matching the real features of every class; `context` is not used.

        Yields:
            the rows of `matching.epochs`.
        """
        random = torch.Generator().manual_seed(self.options.seed)
        labels = real.labels[:, None].expand(-1, self.options.batch_per_class)

        def draw() -> matching.Batch:
            x, mask = (tensor.to(self.device) for tensor in pools.batch(real, self.options.batch_per_class, random))
            return matching.Batch(x, x, self.sample(labels, random), mask)

        return matching.epochs(self, draw, matching.variances(real, self.options), self.options)
