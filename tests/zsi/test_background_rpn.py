import pytest
import torch
from torch.nn import functional

from zeroshot.zsi import background_rpn


@pytest.fixture
def head():
    """A head whose rows have values of the size of word vectors."""
    torch.manual_seed(0)
    head = background_rpn.BackgroundAwareHead(8, 3, torch.full((5,), 0.1), "released")
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return head


def test_objectness_is_the_product_of_the_semantic_vector_with_foreground_minus_background(head):
    level = torch.randn(2, 8, 3, 4)
    (objectness,), (deltas,) = head([level])
    z = head.semantic(functional.relu(head.conv(level)))
    assert objectness.shape == (2, 3, 3, 4) and deltas.shape == (2, 12, 3, 4)
    for anchor in range(3):
        foreground = (z[1, :, 2, 3] * head.foreground_rows[anchor]).sum()
        background = (z[1, :, 2, 3] * head.background_rows[anchor]).sum()
        torch.testing.assert_close(objectness[1, anchor, 2, 3], foreground - background, rtol=1e-4, atol=1e-4)


def test_softmax_cross_entropy_over_both_rows_is_the_binary_one_of_the_difference(head):
    level = torch.randn(2, 8, 3, 4)
    z = head.semantic(functional.relu(head.conv(level)))
    both = torch.einsum("bdhw,rad->barhw", z, torch.stack([head.background_rows, head.foreground_rows])).flatten(0, 1)
    labels = torch.randint(0, 2, (2, 3, 3, 4))
    softmax = functional.cross_entropy(both, labels.flatten(0, 1))
    (objectness,), _ = head([level])
    binary = functional.binary_cross_entropy_with_logits(objectness, labels.float())
    torch.testing.assert_close(softmax, binary)


def test_the_background_is_the_mean_of_its_rows_and_has_no_gradient(head):
    torch.testing.assert_close(head.background(), head.background_rows.sum(dim=0) / 3)
    assert not head.background().requires_grad


def test_rows_of_the_background_begin_as_the_given_vector():
    vector = torch.randn(5)
    head = background_rpn.BackgroundAwareHead(8, 3, vector, "unit")
    assert (head.background_rows == vector).all()
    torch.testing.assert_close(head.background(), vector)


def test_unit_rows_are_the_released_ones_with_length_one():
    rows = []
    for init in ("released", "unit"):
        torch.manual_seed(0)
        rows.append(background_rpn.BackgroundAwareHead(8, 3, torch.zeros(300), init).foreground_rows)
    assert (rows[0].norm(dim=1) - 300**0.5).abs().max() < 3
    torch.testing.assert_close(rows[1], functional.normalize(rows[0]))
