"""The three losses against independent formulas, and the classifier against the nearest class vector."""

import math

import numpy as np
import pytest
import torch

from zeroshot.images import grids
from zeroshot.networks import semantic_head
from zeroshot.pixel_classifiers import compatibility

N, C, D, EMBEDDING = 40, 6, 9, 5


@pytest.fixture
def case():
    """Projected features (40, 5), directions of 6 classes, and targets."""
    random = torch.Generator().manual_seed(0)
    projected = 2 * torch.randn(N, EMBEDDING, generator=random)
    classes = semantic_head.directions(torch.randn(C, EMBEDDING, generator=random))
    return projected, classes, torch.randint(C, (N,), generator=random)


def test_cosine_loss_is_one_minus_the_cosine(case):
    losses = compatibility.cosine_loss(*case)
    for loss, x, label in zip(losses, case[0].numpy(), case[2], strict=True):
        a = case[1][label].numpy()
        assert loss.item() == pytest.approx(1 - x @ a / (np.linalg.norm(x) * np.linalg.norm(a)), abs=1e-5)


def test_ranking_loss_is_the_weighted_sum_over_violated_classes(case):
    losses = compatibility.ranking_loss(*case)
    ranks = []
    for loss, x, label in zip(losses, case[0].numpy(), case[2].tolist(), strict=True):
        scores = [float(x @ a) for a in case[1].numpy()]
        hinges = [max(0.0, 1 + scores[c] - scores[label]) for c in range(C) if c != label]
        rank = sum(hinge > 0 for hinge in hinges)
        harmonic = sum(1 / k for k in range(1, rank + 1))
        ranks.append(rank)
        assert loss.item() == pytest.approx(harmonic / rank * sum(hinges) if rank else 0.0, abs=1e-5)
    assert {0, 1, C - 1} <= set(ranks)


def test_softmax_loss_is_the_negative_log_probability(case):
    losses = compatibility.softmax_loss(*case)
    for loss, x, label in zip(losses, case[0].numpy(), case[2].tolist(), strict=True):
        scores = [float(x @ a) for a in case[1].numpy()]
        assert loss.item() == pytest.approx(math.log(sum(map(math.exp, scores))) - scores[label], abs=1e-5)


@pytest.mark.parametrize(
    ("loss", "scale_matters"),
    [
        (compatibility.cosine_loss, False),
        (compatibility.ranking_loss, True),
        (compatibility.softmax_loss, True),
    ],
)
def test_losses_are_invariant_to_class_order_and_cosine_loss_to_scale(case, loss, scale_matters):
    projected, classes, target = case
    order = torch.randperm(C, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss(projected, classes[order], order.argsort()[target]), loss(*case))
    assert torch.allclose(loss(3 * projected, classes, target), loss(*case), atol=1e-5) is not scale_matters


def linear_map():
    random = torch.Generator().manual_seed(2)
    return torch.randn(EMBEDDING, D, generator=random), torch.randn(EMBEDDING, generator=random), random


def test_classifier_predicts_the_class_of_the_nearest_vector():
    """Compare with the largest cosine, computed pixel by pixel, for vectors of very different lengths."""
    weight, bias, random = linear_map()
    vectors = torch.randn(C, EMBEDDING, generator=random) * torch.tensor([0.1, 1, 30, 2, 5, 0.5])[:, None]
    seen, unseen = (0, 2, 3, 5), (4, 1)
    model = compatibility.classifier(weight, bias, semantic_head.directions(vectors), seen, unseen)
    assert model.labels.tolist() == [0, 2, 3, 5, 4, 1]
    assert model.unseen.tolist() == [False] * 4 + [True] * 2
    x = torch.randn(300, D, generator=random)
    predicted = model.labels[model.logits(x).argmax(1)].tolist()
    for feature, label in zip(x.numpy(), predicted, strict=True):
        y = weight.numpy() @ feature + bias.numpy()
        cosines = [y @ a / np.linalg.norm(y) / np.linalg.norm(a) for a in vectors.numpy()]
        assert label == int(np.argmax(cosines))
    assert set(predicted) == set(range(C))


def test_upsampled_logits_and_upsampled_embeddings_give_the_same_classes():
    weight, bias, random = linear_map()
    vectors = semantic_head.directions(torch.randn(C, EMBEDDING, generator=random))
    model = compatibility.classifier(weight, bias, vectors, range(C), ())
    cells = torch.randn(1, D, 4, 5, generator=random)
    logits = torch.einsum("cd,bdhw->bchw", model.weight, cells) + model.bias[:, None, None]
    embedded = torch.einsum("cd,bdhw->bchw", weight, cells) + bias[:, None, None]
    embedded = grids.upsample(embedded, (16, 20), 4)
    cosines = torch.nn.functional.cosine_similarity(embedded[:, None], vectors[None, :, :, None, None], dim=2)
    assert torch.equal(grids.upsample(logits, (16, 20), 4).argmax(1), cosines.argmax(1))


def test_a_zero_vector_gets_an_extra_dimension():
    vectors = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, -2.0]])
    directions = semantic_head.directions(vectors)
    torch.testing.assert_close(directions, torch.tensor([[0.0, 0.0, 1.0], [0.6, 0.8, 0.0], [0.0, -1.0, 0.0]]))
    torch.testing.assert_close(semantic_head.directions(vectors[1:]), directions[1:, :2])


def test_cosine_criterion_of_maps_sums_over_valid_pixels(case):
    projected, classes, target = case
    maps = projected.reshape(2, 4, 5, EMBEDDING).permute(0, 3, 1, 2)
    labels = target.reshape(2, 4, 5).clone()
    labels[1, 2:] = 65535
    loss = compatibility.cosine_criterion(classes)(maps, labels)
    assert loss.item() == pytest.approx(compatibility.cosine_loss(*case)[:30].sum().item(), rel=1e-5)
    loss_of_ignored = compatibility.cosine_criterion(classes)(maps, torch.full_like(labels, 65535))
    assert loss_of_ignored == 0
