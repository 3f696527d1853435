import math

import pytest
import torch

from tests.support import disks_and_squares
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zsi.regions import region_classifiers

# Six seen and two unseen classes.
N_SEEN, N = 6, 9


def of_scores(scores):
    """Return a classifier whose logits are the features, and the features (n, 9)."""
    return pixel_classifier.PixelClassifier(
        torch.eye(N), torch.zeros(N), torch.arange(N), torch.arange(N) > N_SEEN
    ), torch.tensor(scores, dtype=torch.float32)


def test_every_class_has_the_mask_of_its_own_word_vector():
    detector = disks_and_squares.new_detector().eval()
    classifier, features = of_scores([[9, 1, 0, 5, 0, 0, 0, 8, 0]])
    words = torch.from_numpy(disks_and_squares.vectors())
    for labelling in region_classifiers.labellings(classifier, detector, features):
        torch.testing.assert_close(labelling.mask_vectors[1:], words[1:])


def test_lists_are_of_unseen_classes_alone_or_of_seen_and_then_unseen_ones():
    detector = disks_and_squares.new_detector().eval()
    classifier, features = of_scores([[1.0, 2, 3, 4, 5, 6, 7, 8, 9]])
    zsi, gzsi = (one.lists for one in region_classifiers.labellings(classifier, detector, features))
    ((labels, scores),) = zsi
    assert labels == range(7, 9)
    torch.testing.assert_close(scores[0], torch.tensor([1.0, 8, 9]).softmax(0)[1:])
    assert [labels for labels, _ in gzsi] == [range(1, 7), range(7, 9)]
    joined = torch.cat([scores for _, scores in gzsi], dim=1)[0]
    torch.testing.assert_close(joined, features[0].softmax(0)[1:])


def test_chosen_classes_share_the_probability_with_the_background():
    detector = disks_and_squares.new_detector().eval()
    classifier, features = of_scores([[0, 1.0, 0, 5, 0, 0, 0, 8, 2]])
    chosen = region_classifiers.labelling(classifier, detector, features, "gzsi", [8])
    ((_, seen), (_, unseen)) = chosen.lists
    assert not seen.any() and unseen[0].tolist() == pytest.approx([0, math.exp(2) / (1 + math.exp(2))])


def test_the_seen_bias_of_the_classifier_counts_and_lowers_the_background_too():
    detector = disks_and_squares.new_detector().eval()
    classifier, features = of_scores([[0.0] * N])
    biased = pixel_classifier.PixelClassifier(
        classifier.weight, classifier.bias, classifier.labels, classifier.unseen, seen_bias=1.0
    )
    _, gzsi = region_classifiers.labellings(biased, detector, features)
    seen, unseen = (scores[0, 0].item() for _, scores in gzsi.lists)
    assert unseen / seen == pytest.approx(math.e)
