import pytest
import torch

from zeroshot.szn import network

NAMES = ("a", "b", "c")


@pytest.mark.parametrize("loss", ["cosine", "mse"])
@pytest.mark.parametrize("dim", [1, 2, 20])
def test_a_loss_without_a_gradient_is_warned_of_and_no_other(loss, dim):
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, dim, 4, 4, generator=random, requires_grad=True)
    target = torch.randint(0, 3, (2, 4, 4), generator=random)
    network.criterion(loss, torch.randn(3, dim, generator=random), NAMES)(outputs, target).backward()
    assert outputs.grad is not None
    assert (network.warning(loss, dim) is None) == bool(outputs.grad.any())
