"""Graph convolutions in place of the generator's linear layers (paper section 2.2, graph context; Kipf and Welling 2017)."""

import warnings

import torch
from torch import nn

with warnings.catch_warnings():
    # torch warns about how torch_geometric compiles some of its layers.
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn.conv import GCNConv


class GCN(nn.Module):
    """Two normalised graph convolutions with self-loops, with leaky ReLU and dropout between them.

    A plain convolution gives two components that touch only each other the same feature, the mean of both: the normalised adjacency of
    such a pair is 1/2 everywhere. With `skip`, each convolution has a linear layer of the node itself beside it.

    Args:
        in_dim: length of a node's class embedding and noise together.
        hidden_dim: hidden neurons.
        feature_dim: length of a feature.
        dropout: probability, in training mode only.
        relu: whether features are the output of a ReLU, as real ones are.
        skip: whether to add the linear layers; the paper has none.
    """

    def __init__(self, in_dim: int, hidden_dim: int, feature_dim: int, dropout: float, relu: bool, skip: bool) -> None:
        super().__init__()
        sizes = ((in_dim, hidden_dim), (hidden_dim, feature_dim))
        self.convolutions = nn.ModuleList(GCNConv(*size) for size in sizes)
        self.skips = nn.ModuleList(nn.Linear(*size, bias=False) for size in sizes) if skip else None
        self.between = nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(dropout))
        self.output = nn.ReLU() if relu else nn.Identity()
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(parameter, 0.01)
            elif name.startswith("skips"):
                nn.init.xavier_uniform_(parameter)

    def forward(self, nodes: torch.Tensor, edges: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return the features (k, feature_dim) of some nodes.

        Args:
            nodes: (n, in_dim) float32.
            edges: (2, e) int64, each edge in both directions.
            chosen: (k,) int64, indices of nodes.
        """
        hidden = self.convolutions[0](nodes, edges)
        if self.skips:
            hidden = hidden + self.skips[0](nodes)
        hidden = self.between(hidden)
        features = self.convolutions[1](hidden, edges)[chosen]
        if self.skips:
            features = features + self.skips[1](hidden[chosen])
        return self.output(features)
