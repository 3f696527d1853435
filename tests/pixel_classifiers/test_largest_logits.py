import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroshot.images import grids
from zeroshot.pixel_classifiers import largest_logits

side = st.integers(1, 40)


@settings(max_examples=100, deadline=None)
@given(side, side, st.sampled_from([1, 2, 3, 4, 5, 32]), st.integers(1, 20), st.floats(0, 2), st.integers(0, 9))
def test_values_and_classes_are_those_of_all_upsampled_logits(height, width, stride, n_classes, noise, seed):
    """Without noise neighbouring cells agree, as within a class of a label map; with much of it they do not."""
    random = torch.Generator().manual_seed(seed)
    size = grids.map_size(height, width, stride)
    means = torch.randn(n_classes, 1, 1, generator=random)
    logits = means + noise * torch.randn(n_classes, *size, generator=random)
    labels = torch.randperm(n_classes, generator=random).int()
    value, label = largest_logits.of_upsampled(logits, labels, (height, width), stride)
    channel = labels.argsort()[label]
    pixels = grids.upsample(logits[None], (height, width), stride)[0]
    torch.testing.assert_close(value, pixels.amax(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pixels.gather(0, channel[None])[0], pixels.amax(0), atol=1e-5, rtol=1e-5)
    assert value.shape == label.shape == (height, width) and label.dtype == torch.int32


def test_a_class_that_is_largest_only_between_cells_is_found():
    """It is second at both cells, and first half way between them."""
    logits = torch.tensor([[[2.0, -2.0]], [[-2.0, 2.0]], [[1.5, 1.5]]])
    value, label = largest_logits.of_upsampled(logits, torch.tensor([10, 11, 12]).int(), (2, 16), 8)
    assert label[0].tolist() == [10] * 5 + [12] * 6 + [11] * 5
    torch.testing.assert_close(value[0, 7:9], torch.tensor([1.5, 1.5]))


def test_of_equal_channels_the_first_is_taken():
    blocks = [torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 3.0], [0.0, 3.0]])]
    value, label = largest_logits.of_blocks(blocks, torch.tensor([7, 5, 6]).int())
    assert label.tolist() == [7, 5] and value.tolist() == [1, 3]
