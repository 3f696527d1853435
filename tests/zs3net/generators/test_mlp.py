import pytest
import torch
from torch.nn import functional

from tests.support import quick_sections
from zeroshot.zs3net.generators import mlp


def build(output="linear", dropout=0.0, precision="float32"):
    torch.manual_seed(0)
    options = quick_sections.gmmn_options(
        noise_dim=2, hidden_dim=8, dropout=dropout, output=output, precision=precision
    )
    return mlp.MLP(options, embeddings=torch.randn(4, 3), feature_dim=5)


def inputs(*shape):
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 4, shape, generator=random), torch.randn(*shape, 2, generator=random)


def by_the_paper(network, labels, noise):
    first, second = (layer for layer in network.layers if isinstance(layer, torch.nn.Linear))
    hidden = functional.leaky_relu(torch.cat([network.embeddings[labels], noise], 1) @ first.weight.T + first.bias, 0.2)
    return hidden @ second.weight.T + second.bias


@pytest.mark.parametrize("output", ["linear", "relu"])
def test_mlp_is_the_network_of_the_paper(output):
    network, (labels, noise) = build(output), inputs(6)
    expected = by_the_paper(network, labels, noise)
    assert (expected < 0).any() and len(labels.unique()) > 2
    torch.testing.assert_close(network(labels, noise), expected.clamp(min=0) if output == "relu" else expected)


def test_gradients_are_those_of_the_network_of_the_paper():
    network, (labels, noise) = build(), inputs(6)
    found, expected = (
        torch.autograd.grad(values.square().sum(), list(network.parameters()))
        for values in (network(labels, noise), by_the_paper(network, labels, noise))
    )
    torch.testing.assert_close(found, expected)


def test_features_in_bfloat16_are_rounded_ones_of_float32():
    labels, noise = inputs(6)
    rounded, exact = (build(precision=precision)(labels, noise) for precision in ("bfloat16", "float32"))
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0.02)


def test_gradients_in_bfloat16_are_near_those_of_float32_for_many_features_of_a_class():
    labels, noise = torch.zeros(512, dtype=torch.int64), inputs(512)[1]
    rounded, exact = (
        torch.autograd.grad(network(labels, noise).sum(), network.layers[0].bias)[0]
        for network in (build(precision="bfloat16"), build())
    )
    torch.testing.assert_close(rounded, exact, rtol=0.01, atol=0.5)


def test_mlp_accepts_any_leading_shape():
    network = build()
    labels, noise = inputs(4, 6)
    out = network(labels, noise)
    assert out.shape == (4, 6, 5)
    torch.testing.assert_close(out[2, 3], network(labels[2, 3], noise[2, 3]))


def test_dropout_is_active_only_in_training_mode():
    network = build(dropout=0.5)
    both = inputs(6)
    assert not torch.equal(network.train()(*both), network(*both))
    assert torch.equal(network.eval()(*both), network(*both))
