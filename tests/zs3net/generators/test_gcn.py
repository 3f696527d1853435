import numpy as np
import pytest
import torch

from zeroshot.zs3net.generators import gcn

EDGES = torch.tensor([[0, 1, 1, 2, 0, 2, 3, 2], [1, 0, 2, 1, 2, 0, 2, 3]])
ALL = torch.arange(5)


def network(skip, relu=False, dropout=0.0):
    torch.manual_seed(0)
    return gcn.GCN(in_dim=3, hidden_dim=5, feature_dim=4, dropout=dropout, relu=relu, skip=skip)


def dense_layers(model, nodes, edges):
    """Compute the layers of Kipf and Welling, D^-1/2 (A + I) D^-1/2 X W + b, with dense matrices, plus the skips."""
    adjacency = np.eye(len(nodes))
    for one, other in edges.T.tolist():
        adjacency[one, other] = 1
    root = np.diag(adjacency.sum(1) ** -0.5)
    x = nodes.double().numpy()
    for k, layer in enumerate(model.convolutions):
        out = root @ adjacency @ root @ x @ layer.lin.weight.double().detach().numpy().T + layer.bias.detach().numpy()
        if model.skips:
            out += x @ model.skips[k].weight.double().detach().numpy().T
        x = np.where(out > 0, out, 0.2 * out) if k == 0 else out
    return x


@pytest.mark.parametrize("skip", [False, True])
def test_layers_equal_the_dense_formula(skip):
    model, nodes = network(skip), torch.randn(5, 3)
    np.testing.assert_allclose(model(nodes, EDGES, ALL).detach().numpy(), dense_layers(model, nodes, EDGES), atol=1e-5)
    relu = network(skip, relu=True)
    np.testing.assert_allclose(
        relu(nodes, EDGES, ALL).detach().numpy(), np.maximum(dense_layers(model, nodes, EDGES), 0), atol=1e-5
    )


def test_only_skip_distinguishes_two_components_that_touch_only_each_other():
    nodes, pair = torch.randn(2, 3), torch.tensor([[0, 1], [1, 0]])
    one, other = network(skip=False)(nodes, pair, ALL[:2])
    torch.testing.assert_close(one, other)
    one, other = network(skip=True)(nodes, pair, ALL[:2])
    assert (one - other).abs().max() > 0.01


def test_a_node_depends_on_nodes_up_to_two_edges_away():
    chain = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    nodes = torch.randn(4, 3)
    for changed, matters in ((1, True), (2, True), (3, False)):
        other = nodes.clone()
        other[changed] += 1
        model = network(skip=True)
        assert torch.equal(model(nodes, chain, ALL[:1])[0], model(other, chain, ALL[:1])[0]) is not matters


def test_dropout_is_off_outside_training():
    model, nodes = network(skip=True, dropout=0.5), torch.randn(5, 3)
    assert not torch.equal(model(nodes, EDGES, ALL), model(nodes, EDGES, ALL))
    model.eval()
    assert torch.equal(model(nodes, EDGES, ALL), model(nodes, EDGES, ALL))


def test_features_are_those_of_the_chosen_nodes():
    model, nodes, chosen = network(skip=True), torch.randn(5, 3), torch.tensor([3, 0, 3])
    torch.testing.assert_close(model(nodes, EDGES, chosen), model(nodes, EDGES, ALL)[chosen])
