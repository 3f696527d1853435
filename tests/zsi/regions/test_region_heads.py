import math

import numpy as np
import pytest
import torch

from tests.support import disks_and_squares
from zeroshot.base import errors
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zsi.regions import region_heads

# Six seen and two unseen classes.
N_SEEN, N = 6, 9


def of_scores(scores, seen_bias=0.0, semantic_weight=0.0):
    """Return a head whose classifier's logits are the features, and the features (n, 9)."""
    classifier = pixel_classifier.PixelClassifier(
        torch.eye(N), torch.zeros(N), torch.arange(N), torch.arange(N) > N_SEEN, seen_bias
    )
    return region_heads.RegionHead(classifier, semantic_weight), torch.tensor(scores, dtype=torch.float32)


def new_detector():
    """A detector whose regions have features of length 9."""
    return disks_and_squares.new_detector(box_head={"hidden_dim": N}).eval()


def test_every_class_has_the_mask_of_its_own_word_vector():
    detector = new_detector()
    head, features = of_scores([[9, 1, 0, 5, 0, 0, 0, 8, 0]])
    words = torch.from_numpy(disks_and_squares.vectors())
    for labelling in region_heads.labellings(head, detector, features):
        torch.testing.assert_close(labelling.mask_vectors[1:], words[1:])


def test_lists_are_of_unseen_classes_alone_or_of_seen_and_then_unseen_ones():
    detector = new_detector()
    head, features = of_scores([[1.0, 2, 3, 4, 5, 6, 7, 8, 9]])
    zsi, gzsi = (one.lists for one in region_heads.labellings(head, detector, features))
    ((labels, scores),) = zsi
    assert labels == range(7, 9)
    torch.testing.assert_close(scores[0], torch.tensor([1.0, 8, 9]).softmax(0)[1:])
    assert [labels for labels, _ in gzsi] == [range(1, 7), range(7, 9)]
    joined = torch.cat([scores for _, scores in gzsi], dim=1)[0]
    torch.testing.assert_close(joined, features[0].softmax(0)[1:])


def test_chosen_classes_share_the_probability_with_the_background():
    detector = new_detector()
    head, features = of_scores([[0, 1.0, 0, 5, 0, 0, 0, 8, 2]])
    chosen = region_heads.labelling(head, detector, features, "gzsi", [8])
    ((_, seen), (_, unseen)) = chosen.lists
    assert not seen.any() and unseen[0].tolist() == pytest.approx([0, math.exp(2) / (1 + math.exp(2))])


def test_the_seen_bias_of_the_classifier_counts_and_lowers_the_background_too():
    detector = new_detector()
    head, features = of_scores([[0.0] * N], seen_bias=1.0)
    _, gzsi = region_heads.labellings(head, detector, features)
    seen, unseen = (scores[0, 0].item() for _, scores in gzsi.lists)
    assert unseen / seen == pytest.approx(math.e)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


@pytest.mark.parametrize("among", [None, [2, 8]])
def test_scores_are_the_softmax_of_logits_and_of_semantic_evidence_for_unseen_classes(among):
    detector = new_detector()
    with torch.no_grad():
        # Word vectors of other lengths and a background that resembles an unseen class.
        detector.box_head.vectors[0] = 3 * detector.box_head.vectors[N_SEEN + 1]
        detector.box_head.vectors[N_SEEN + 2] *= 2
        detector.box_head.encoder[1].weight.mul_(40)
    head, features = of_scores(np.random.default_rng(1).normal(size=(5, N)), seen_bias=0.7, semantic_weight=10.0)
    lists = region_heads.labelling(head, detector, features, "gzsi", among).lists
    found = torch.cat([scores for _, scores in lists], dim=1).detach().numpy()
    vectors = detector.box_head.vectors.numpy().astype(np.float64)
    allowed = [0, *(among or range(1, N))]
    unseen = [label for label in allowed if label > N_SEEN]
    for row, feature in zip(found, features.numpy().astype(np.float64), strict=True):
        x = detector.box_head.semantics(torch.tensor(feature, dtype=torch.float32)[None])[0].detach().numpy()
        seen = vectors[1 : N_SEEN + 1]
        mean = softmax(seen @ x) @ seen
        logits = feature - 0.7 * (np.arange(N) <= N_SEEN)
        logits[unseen] += np.log(len(unseen) * softmax(10 * vectors[unseen] @ mean))
        expected = np.zeros(N)
        expected[allowed] = softmax(logits[allowed])
        np.testing.assert_allclose(row, expected[1:], rtol=1e-3, atol=1e-6)


def test_semantic_evidence_compares_the_mean_vector_of_the_seen_classes_with_those_of_unseen_ones():
    random = np.random.default_rng(0)
    semantics, seen, unseen = (random.normal(size=(n, 5)) for n in (7, 4, 3))
    tensors = [torch.tensor(values, dtype=torch.float32) for values in (semantics, seen, unseen)]
    found = region_heads.semantic_evidence(*tensors, weight=1.5)
    for row, x in zip(found.numpy(), semantics, strict=True):
        np.testing.assert_allclose(np.exp(row), 3 * softmax(1.5 * unseen @ (softmax(seen @ x) @ seen)), rtol=1e-4)
    torch.testing.assert_close(region_heads.semantic_evidence(*tensors, weight=0.0), torch.zeros(7, 3))


@pytest.mark.parametrize("n_unseen", [0, 1])
def test_without_a_choice_there_is_no_evidence(n_unseen):
    found = region_heads.semantic_evidence(torch.randn(4, 5), torch.randn(3, 5), torch.randn(n_unseen, 5), 5.0)
    assert found.shape == (4, n_unseen) and not found.any()


@pytest.mark.parametrize("labels", [range(N - 1), [*range(N - 1), N], [1, 0, *range(2, N)]])
def test_a_classifier_without_a_row_for_every_class_in_label_order_is_refused(labels):
    labels = torch.tensor(labels)
    rows = torch.zeros(len(labels), N)
    classifier = pixel_classifier.PixelClassifier(rows, rows[:, 0], labels, labels > N_SEEN)
    with pytest.raises(errors.UserError, match="does not have a row for the background, each seen and each unseen"):
        region_heads.of_classifier(classifier, disks_and_squares.CLASSES, 0.0)
