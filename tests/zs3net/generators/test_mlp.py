import pytest
import torch
from torch.nn import functional

from tests.support import quick_sections
from zeroshot.zs3net.generators import mlp


def build(output="linear", dropout=0.0):
    torch.manual_seed(0)
    options = quick_sections.gmmn_options(noise_dim=2, hidden_dim=8, dropout=dropout, output=output)
    return mlp.MLP(options, embeddings=torch.eye(3), feature_dim=5)


def inputs(*shape):
    random = torch.Generator().manual_seed(1)
    return torch.randn(*shape, 3, generator=random), torch.randn(*shape, 2, generator=random)


@pytest.mark.parametrize("output", ["linear", "relu"])
def test_mlp_is_the_network_of_the_paper(output):
    network = build(output)
    first, second = (layer for layer in network.layers if isinstance(layer, torch.nn.Linear))
    embeddings, noise = inputs(6)
    hidden = functional.leaky_relu(torch.cat([embeddings, noise], 1) @ first.weight.T + first.bias, 0.2)
    expected = hidden @ second.weight.T + second.bias
    assert (expected < 0).any()
    torch.testing.assert_close(network(embeddings, noise), expected.clamp(min=0) if output == "relu" else expected)


def test_mlp_accepts_any_leading_shape():
    network = build()
    embeddings, noise = inputs(4, 6)
    out = network(embeddings, noise)
    assert out.shape == (4, 6, 5)
    torch.testing.assert_close(out[2, 3], network(embeddings[2, 3], noise[2, 3]))


def test_dropout_is_active_only_in_training_mode():
    network = build(dropout=0.5)
    both = inputs(6)
    assert not torch.equal(network.train()(*both), network(*both))
    assert torch.equal(network.eval()(*both), network(*both))
