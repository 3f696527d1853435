"""Scores against the formulas of the reference, in numpy and region by region."""

import numpy as np
import pytest
import torch

from zeroshot.zsi import scoring

N_SEEN, N_UNSEEN, DIM = 3, 2, 6
RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(1 + N_SEEN + N_UNSEEN, DIM))
SEEN, UNSEEN = VECTORS[1 : 1 + N_SEEN], VECTORS[1 + N_SEEN :]
SEMANTICS = RANDOM.normal(size=(7, DIM))


def class_lists(kind, protocol, among=None):
    lists = scoring.class_lists(
        torch.tensor(SEMANTICS, dtype=torch.float32),
        torch.tensor(VECTORS, dtype=torch.float32),
        N_SEEN,
        kind,
        protocol,
        among,
    )
    return {tuple(labels): scores.numpy() for labels, scores in lists}


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


@pytest.mark.parametrize("kind", ["mix", "mix_without_background", "direct"])
def test_lists_are_those_of_the_protocol(kind):
    assert set(class_lists(kind, "zsi")) == {(4, 5)}
    assert list(class_lists(kind, "gzsi")) == [(1, 2, 3), (4, 5)]


@pytest.mark.parametrize("protocol", ["zsi", "gzsi"])
@pytest.mark.parametrize("kind", ["mix", "mix_without_background"])
def test_mix_scores_are_products_with_the_mean_word_vector(kind, protocol):
    lists = class_lists(kind, protocol)
    first = 0 if kind == "mix" else 1
    for region, x in enumerate(SEMANTICS):
        p = softmax(np.array([x @ w for w in VECTORS[: 1 + N_SEEN]]))
        u = sum(p[label] * VECTORS[label] for label in range(first, 1 + N_SEEN))
        np.testing.assert_allclose(lists[4, 5][region], [u @ w for w in UNSEEN], rtol=1e-4, atol=1e-5)
        if protocol == "gzsi":
            np.testing.assert_allclose(lists[1, 2, 3][region], [u @ w for w in SEEN], rtol=1e-4, atol=1e-5)


def test_direct_scores_are_a_softmax_with_the_background_over_what_the_protocol_can_predict():
    zsi, gzsi = class_lists("direct", "zsi"), class_lists("direct", "gzsi")
    for region, x in enumerate(SEMANTICS):
        of_unseen = softmax(np.array([x @ VECTORS[label] for label in (0, 4, 5)]))
        np.testing.assert_allclose(zsi[4, 5][region], of_unseen[1:], rtol=1e-4)
        of_all = softmax(VECTORS @ x)
        np.testing.assert_allclose(gzsi[1, 2, 3][region], of_all[1:4], rtol=1e-4)
        np.testing.assert_allclose(gzsi[4, 5][region], of_all[4:], rtol=1e-4)


@pytest.mark.parametrize("protocol", ["zsi", "gzsi"])
@pytest.mark.parametrize("kind", ["mix", "mix_without_background", "direct"])
def test_classes_that_were_not_chosen_have_no_score(kind, protocol):
    everything, chosen = class_lists(kind, protocol), class_lists(kind, protocol, [2, 5])
    assert chosen.keys() == everything.keys()
    for labels, scores in chosen.items():
        for column, label in enumerate(labels):
            if label not in (2, 5):
                assert (scores[:, column] == 0).all()
            elif kind != "direct":
                np.testing.assert_array_equal(scores[:, column], everything[labels][:, column])
            else:
                # The softmax is over the background and the chosen classes of the protocol.
                competing = [0, 2, 5] if protocol == "gzsi" else [0, 5]
                for region, x in enumerate(SEMANTICS):
                    expected = softmax(VECTORS[competing] @ x)[competing.index(label)]
                    np.testing.assert_allclose(scores[region, column], expected, rtol=1e-4)


def test_a_region_of_pure_background_gets_its_products_from_mix_and_nothing_without_background():
    vectors = torch.eye(6)[:, :4] + 0.2
    background = 100 * torch.tensor([[1.0, 0, 0, 0]])
    ((_, mix),) = scoring.class_lists(background, vectors, 3, "mix", "zsi")
    ((_, without),) = scoring.class_lists(background, vectors, 3, "mix_without_background", "zsi")
    torch.testing.assert_close(mix[0], vectors[4:] @ vectors[0])
    torch.testing.assert_close(without[0], torch.zeros(2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["mix", "mix_without_background", "direct"])
def test_mask_logits_of_unseen_classes_go_back_through_all_seen_logits(kind):
    synced = VECTORS.copy()
    synced[0] = RANDOM.normal(size=DIM)
    projection = VECTORS[: 1 + N_SEEN]
    chosen = scoring.mask_vectors(torch.tensor(synced), torch.tensor(projection), N_SEEN, kind).numpy()
    for pixel in SEMANTICS:
        seen_logits = np.array([w @ pixel for w in synced[: 1 + N_SEEN]])
        logits = seen_logits.copy()
        if kind == "mix_without_background":
            logits[0] = 0
        back = sum(z * w for z, w in zip(logits, projection, strict=True))
        unseen_logits = UNSEEN @ (pixel if kind == "direct" else back)
        np.testing.assert_allclose(chosen @ pixel, [*seen_logits, *unseen_logits])
