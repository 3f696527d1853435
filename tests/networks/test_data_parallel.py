"""Two ranks that train one network give what one process gives."""

import math

import pytest
import torch

from tests.support import blocks, two_ranks
from zeroshot.base import errors, ranks
from zeroshot.networks import backbone, data_parallel, supervised_training

folder = blocks.folder
# One step, since batch statistics of few small maps amplify rounding.
SAME = {"epochs": 1, "batch_size": 6, "lr": 0.001}


def train(folder, changes):
    """Return the weights and the loss of a training."""
    options = blocks.options(**changes)
    network = backbone.build(options, len(blocks.SEEN), folder / "data/pretrained/none")
    # Ranks draw different dropout.
    for layer in network.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    semantic = backbone.build_semantic_head(torch.eye(len(blocks.SEEN), 6), options)
    dataset = blocks.dataset(folder, **changes)
    ((row, _),) = supervised_training.fit(network, dataset, options, torch.device("cpu"), 0, semantic=semantic)
    return {name: value.clone() for name, value in network.state_dict().items()}, row["loss"]


@pytest.mark.parametrize("freeze", ["nothing", "stem"])
def test_two_ranks_train_the_network_that_one_process_trains(folder, tmp_path, freeze):
    changes = {**SAME, "freeze": freeze}
    alone, loss = train(folder, changes)
    (first, first_loss), (second, second_loss) = two_ranks.results(tmp_path, train, folder, changes)
    assert first_loss == second_loss == pytest.approx(loss, rel=1e-4)
    initial = backbone.build(blocks.options(**changes), len(blocks.SEEN), folder / "data/pretrained/none").state_dict()
    assert alone.keys() == first.keys()
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        moved = (value - initial[name]).float().norm()
        assert (first[name] - value).float().norm() <= 0.1 * moved + 1e-6, name


def test_further_steps_in_bfloat16_leave_the_ranks_equal(folder, tmp_path):
    changes = {"batch_size": 2, "epochs": 1, "precision": "bfloat16"}
    (first, loss), (second, second_loss) = two_ranks.results(tmp_path, train, folder, changes)
    assert math.isfinite(loss) and loss == second_loss
    assert all(torch.equal(first[name], second[name]) for name in first)


def normalised(maps, share):
    """Return the output, the gradient of the input and the running statistics of a batch, of which each rank has a part."""
    layer = torch.nn.BatchNorm2d(maps.shape[1], momentum=0.3)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(1.0, 1 + maps.shape[1]))
    if share:
        layer.__class__ = data_parallel.SharedBatchNorm
        maps = maps[:1] if ranks.rank() == 0 else maps[1:]
    maps = maps.clone().requires_grad_()
    output = layer(maps)
    (output**3).sum().backward()
    return output.detach(), maps.grad, layer.running_mean, layer.running_var, layer.num_batches_tracked


def test_batch_statistics_are_those_of_all_images_however_they_are_shared(tmp_path):
    maps = 3 + torch.randn(4, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    whole = normalised(maps, share=False)
    first, second = two_ranks.results(tmp_path, normalised, maps, True)
    for part in (0, 1):
        torch.testing.assert_close(torch.cat([first[part], second[part]]), whole[part], rtol=1e-4, atol=1e-4)
    for part in (2, 3, 4):
        assert torch.equal(first[part], second[part])
        torch.testing.assert_close(first[part], whole[part])


def test_batch_statistics_survive_a_large_mean(tmp_path):
    maps = 1e4 + torch.randn(4, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    (first, *_), _ = two_ranks.results(tmp_path, normalised, maps, True)
    torch.testing.assert_close(first, normalised(maps, share=False)[0][:1], rtol=0.01, atol=0.01)


def refusal(folder):
    with pytest.raises(errors.UserError) as caught:
        train(folder, {**SAME, "batch_size": 3})
    return str(caught.value)


def test_a_batch_that_cannot_be_shared_equally_is_refused(folder, tmp_path):
    text = "backbone.batch_size: 2 processes cannot share batches of 3 images equally; change the batch size or runtime.ranks"
    assert two_ranks.results(tmp_path, refusal, folder) == [text, text]
