"""Graph convolutions in place of the generator's linear layers (paper section 2.2, graph context; Kipf and Welling 2017)."""

import warnings

import torch
from torch import nn

with warnings.catch_warnings():
    # The library still compiles some of its layers in a way that torch has begun to warn of.
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn.conv import GCNConv
    from torch_geometric.nn.conv.gcn_conv import gcn_norm


class GCN(nn.Module):
    """Two normalised graph convolutions with self-loops, leaky ReLU and dropout between.

    In a plain convolution, two components that touch each other and nothing else get one feature, the mean of both: the normalised
    adjacency of such a pair is 1/2 everywhere. `skip` adds a linear layer of the node itself to each convolution.

    Args:
        in_dim: length of a node's class embedding and noise together.
        hidden_dim: hidden neurons.
        feature_dim: length of a feature.
        dropout: probability, in training mode only.
        relu: whether features, like real ones, come out of a ReLU.
        skip: whether the linear layers stand beside the convolutions; the paper has none.
    """

    def __init__(self, in_dim: int, hidden_dim: int, feature_dim: int, dropout: float, relu: bool, skip: bool) -> None:
        super().__init__()
        sizes = ((in_dim, hidden_dim), (hidden_dim, feature_dim))
        self.convolutions = nn.ModuleList(GCNConv(*size) for size in sizes)
        self.skips = nn.ModuleList(nn.Linear(*size, bias=False) for size in sizes) if skip else None
        self.between = nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(dropout))
        self.output = nn.ReLU() if relu else nn.Identity()
        for layer in self.convolutions:
            nn.init.constant_(layer.bias, 0.01)
        for layer in self.skips or ():
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, nodes: torch.Tensor, edges: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Return the features (k, feature_dim) of some nodes.

        Args:
            nodes: (n, in_dim) float32.
            edges: (2, e) int64, both directions of each.
            wanted: (k,) int64, numbers of nodes.
        """
        adjacency = _normalised(edges, len(nodes))
        hidden = _convolve(self.convolutions[0], adjacency, nodes)
        if self.skips:
            hidden = hidden + self.skips[0](nodes)
        hidden = self.between(hidden)
        features = _convolve(self.convolutions[1], adjacency.index_select(0, wanted), hidden)
        if self.skips:
            features = features + self.skips[1](hidden[wanted])
        return self.output(features)


def _normalised(edges: torch.Tensor, n: int) -> torch.Tensor:
    """Return the normalised adjacency with self-loops as a sparse (n, n); row i gathers what node i gets."""
    edges, weights = gcn_norm(edges, None, n)
    return torch.sparse_coo_tensor(edges.flip(0), weights, (n, n), check_invariants=False).coalesce()


def _convolve(convolution: GCNConv, adjacency: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
    """Return what `convolution` does to `nodes` (n, d) in the rows (k, n) of the adjacency, a fifth of the library's own work.

    It gathers before the linear layer, as sparse times dense, and only for the rows wanted; the result (k, d') is the same.
    """
    return convolution.lin(torch.sparse.mm(adjacency, nodes)) + convolution.bias
