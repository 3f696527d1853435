"""The generative moment matching network: a perceptron trained by MMD (paper section 2.2, step 1)."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from zeroshot.cache import pools
from zeroshot.zs3net.generators import kernels, matching
from zeroshot.zs3net.generators import options as generator_options


class MLP(nn.Module):
    """The paper's generator G(a, z): one hidden layer, leaky ReLU, dropout (section 3.1).

    Args:
        embedding_dim: length of a class embedding a.
        feature_dim: length of a feature x.
        options: `noise_dim`, the length of the noise z; `hidden_dim`, the hidden neurons; `dropout`, active in training mode
            only; `output`, `linear` (paper) or `relu`: real features come out of a ReLU, so negative ones cannot be real.
    """

    def __init__(self, embedding_dim: int, feature_dim: int, options: generator_options.Options) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(embedding_dim + options.noise_dim, options.hidden_dim),
            nn.LeakyReLU(0.2),
            nn.Dropout(options.dropout),
            nn.Linear(options.hidden_dim, feature_dim),
            nn.ReLU() if options.output == "relu" else nn.Identity(),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.constant_(layer.bias, 0.01)

    def forward(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return features (..., feature_dim) of embeddings (..., embedding_dim) and noise (..., noise_dim)."""
        return self.layers(torch.cat([embeddings, noise], dim=-1))


def build(embedding_dim: int, feature_dim: int, options: generator_options.Options) -> nn.Module:
    """Return the untrained network."""
    return MLP(embedding_dim, feature_dim, options)


def sample(
    network: nn.Module,
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    options: generator_options.Options,
    random: torch.Generator,
) -> torch.Tensor:
    """Return features (..., d) of labels (...,), each from its class embedding and fresh noise."""
    noise = options.draw_noise(labels.shape, random).to(embeddings.device)
    return network(embeddings[labels.to(embeddings.device)], noise)


def fit(
    network: nn.Module, embeddings: torch.Tensor, real: pools.Pool, options: generator_options.Options, context: Any
) -> Iterator[dict[str, float]]:
    """Match the real features of every class; `context` is not used. Yields what `matching.fit` does."""
    random = torch.Generator().manual_seed(options.seed)
    labels = real.labels[:, None].expand(-1, options.batch_per_class)

    def draw() -> matching.Batch:
        x, mask = (tensor.to(embeddings.device) for tensor in pools.batch(real, options.batch_per_class, random))
        return matching.Batch(x, x, sample(network, embeddings, labels, options, random), mask)

    return matching.fit(network, draw, kernels.variances(real, options), options)
