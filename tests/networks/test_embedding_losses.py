import math

import numpy as np
import pytest
import torch

from zeroshot.networks import embedding_losses
from zeroshot.pixel_classifiers import compatibility

IGNORE = 65535
CRITERIA = {"cosine": compatibility.cosine_criterion, "mse": embedding_losses.squared_error_criterion}


def one_pixel(loss, output, vector):
    """Return the loss of one pixel by its definition."""
    if loss == "mse":
        return sum((a - b) ** 2 for a, b in zip(output, vector, strict=True))
    lengths = math.dist(output, [0] * len(output)) * math.dist(vector, [0] * len(vector))
    return 1 - sum(a * b for a, b in zip(output, vector, strict=True)) / lengths


def case(n, j, seed=0):
    """Return outputs (n, j, 3, 4), targets with ignored pixels, and vectors of five classes."""
    random = np.random.default_rng(seed)
    target = random.choice([0, 1, 2, 3, 4, IGNORE], (n, 3, 4))
    return random.normal(size=(n, j, 3, 4)), target, random.normal(size=(5, j))


def loss_of(loss, outputs, target, vectors):
    arrays = torch.from_numpy(outputs), torch.from_numpy(target)
    return CRITERIA[loss](torch.from_numpy(vectors))(*arrays).item()


# A norm without a channel axis is an error for most batches, and another number where batch and channels are equal.
@pytest.mark.parametrize(("n", "j"), [(1, 4), (4, 4), (3, 4), (2, 2)])
@pytest.mark.parametrize("loss", CRITERIA)
def test_loss_is_the_sum_over_valid_pixels_in_batches_of_every_size(loss, n, j):
    outputs, target, vectors = case(n, j)
    expected = sum(
        one_pixel(loss, outputs[b, :, y, x], vectors[label])
        for (b, y, x), label in np.ndenumerate(target)
        if label != IGNORE
    )
    assert loss_of(loss, outputs, target, vectors) == pytest.approx(expected)


def test_losses_of_two_images_by_hand():
    """Batch and channels are both 2. Cosines: 1 and 0.6 in the first image, 0 and -1 in the second."""
    outputs = np.array([[[[3.0, 3.0]], [[0.0, 4.0]]], [[[0.0, 0.0]], [[2.0, -5.0]]]])
    target = np.array([[[0, 0]], [[0, 1]]])
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert loss_of("cosine", outputs, target, vectors) == pytest.approx(0 + 0.4 + 1 + 2)
    assert loss_of("mse", outputs, target, vectors) == pytest.approx(4 + 20 + 5 + 36)


@pytest.mark.parametrize("loss", CRITERIA)
def test_values_under_ignored_pixels_have_no_effect_and_no_gradient(loss):
    outputs, target, vectors = case(2, 3)
    void = np.broadcast_to((target == IGNORE)[:, None], outputs.shape)
    assert void.any()
    changed = np.where(void, 1e6, outputs)
    assert loss_of(loss, changed, target, vectors) == loss_of(loss, outputs, target, vectors)
    values = torch.from_numpy(outputs).requires_grad_()
    CRITERIA[loss](torch.from_numpy(vectors))(values, torch.from_numpy(target)).backward()
    assert not values.grad[torch.from_numpy(void.copy())].any() and values.grad.any()


def test_cosine_loss_is_invariant_to_the_length_of_a_pixels_output():
    outputs, target, vectors = case(2, 3)
    lengths = np.random.default_rng(1).uniform(0.01, 100, (2, 1, 3, 4))
    assert loss_of("cosine", outputs * lengths, target, vectors) == pytest.approx(
        loss_of("cosine", outputs, target, vectors)
    )


@pytest.mark.parametrize("loss", CRITERIA)
def test_zero_outputs_have_a_finite_loss_and_gradient(loss):
    target, vectors = torch.tensor([[[0, 1]]]), torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    outputs = torch.zeros(1, 2, 1, 2, requires_grad=True)
    value = CRITERIA[loss](vectors)(outputs, target)
    value.backward()
    assert value.item() == pytest.approx({"cosine": 2.0, "mse": 29.0}[loss])
    assert outputs.grad.isfinite().all()


@pytest.mark.parametrize("loss", CRITERIA)
def test_no_valid_pixel_gives_zero(loss):
    outputs = torch.randn(1, 2, 2, 2, requires_grad=True)
    value = CRITERIA[loss](torch.eye(2))(outputs, torch.full((1, 2, 2), IGNORE))
    value.backward()
    assert value == 0 and not outputs.grad.any()
