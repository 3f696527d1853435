"""Generators of features from class embeddings, and the table of those that can be named in params.yaml."""

from typing import Literal

import torch
from torch import nn

Name = Literal["mlp"]
Output = Literal["linear", "relu"]


class MLP(nn.Module):
    """The paper's generator G(a, z): one hidden layer, leaky ReLU, dropout (section 3.1).

    Args:
        embedding_dim: length of a class embedding a.
        noise_dim: length of the noise z.
        hidden_dim: hidden neurons.
        feature_dim: length of a feature x.
        dropout: probability, active in training mode only.
        output: `linear` (paper) or `relu`: real features come out of a ReLU, so negative ones cannot be real.
    """

    def __init__(
        self, embedding_dim: int, noise_dim: int, hidden_dim: int, feature_dim: int, dropout: float, output: Output
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(embedding_dim + noise_dim, hidden_dim),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, feature_dim),
            nn.ReLU() if output == "relu" else nn.Identity(),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.constant_(layer.bias, 0.01)

    def forward(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return features (..., feature_dim) of embeddings (..., embedding_dim) and noise (..., noise_dim)."""
        return self.layers(torch.cat([embeddings, noise], dim=-1))


GENERATORS: dict[Name, type[nn.Module]] = {"mlp": MLP}
