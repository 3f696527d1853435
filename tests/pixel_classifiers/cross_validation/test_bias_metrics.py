import dataclasses

import numpy as np
import pytest
import torch

from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import bias_metrics


def example(n=200):
    """Return a random classifier of labels 0, 2, 3 (seen) and 5, 1 (unseen), and rows of all classes."""
    rng = np.random.default_rng(0)
    classifier = pixel_classifier.PixelClassifier(
        weight=torch.from_numpy(rng.normal(size=(5, 6))).float(),
        bias=torch.from_numpy(rng.normal(size=5)).float(),
        labels=torch.tensor([0, 2, 3, 5, 1]),
        unseen=torch.tensor([False, False, False, True, True]),
    )
    truth = rng.choice([0, 1, 2, 3, 5], n).astype(np.uint16)
    weights = rng.integers(1, 5, n).astype(np.float32)
    return classifier, {"features": rng.normal(size=(n, 6)).astype(np.float16), "label": truth, "weight": weights}


def by_definition(classifier, scored, bias):
    """Compute the metrics by definition, row by row: IoU from sums of weights, two means and their harmonic mean."""
    labels = classifier.labels.tolist()
    hits, true, predicted = (dict.fromkeys(labels, 0.0) for _ in range(3))
    columns = scored["features"].astype(np.float64), scored["label"].tolist(), scored["weight"].tolist()
    for x, label, weight in zip(*columns, strict=True):
        scores = classifier.weight.double().numpy() @ x + classifier.bias.double().numpy()
        scores -= np.where(classifier.unseen.numpy(), 0, bias)
        guess = labels[int(scores.argmax())]
        hits[label] += weight * (guess == label)
        true[label] += weight
        predicted[guess] += weight
    ious = {label: hits[label] / (true[label] + predicted[label] - hits[label]) for label in labels}
    seen, unseen = (100 * np.mean([ious[label] for label in group]) for group in ([0, 2, 3], [1, 5]))
    return {"seen": seen, "unseen": unseen, "hIoU": 2 * seen * unseen / (seen + unseen)}


@pytest.mark.parametrize("chunk", [7, 200, 65536])
def test_metrics_at_each_bias_equal_the_definition(chunk):
    biases = (0.0, 0.5, -1.0, 3.0)
    actual = bias_metrics.by_bias(*example(), biases, chunk)
    for metrics, bias in zip(actual, biases, strict=True):
        assert metrics == pytest.approx(by_definition(*example(), bias))
    assert len({metrics["hIoU"] for metrics in actual}) == 4


def test_a_weight_equals_repeated_rows():
    classifier, scored = example()
    times = scored["weight"].astype(int)
    repeated = {name: np.repeat(column, times, axis=0) for name, column in scored.items()}
    repeated["weight"] = np.ones(times.sum(), np.float32)
    biases = (0.0, 1.0)
    one, other = (bias_metrics.by_bias(classifier, table, biases) for table in (scored, repeated))
    assert all(a == pytest.approx(b) for a, b in zip(one, other, strict=True))


def test_the_bias_of_the_classifier_is_ignored():
    classifier, scored = example()
    biased = dataclasses.replace(classifier, seen_bias=2.0)
    assert bias_metrics.by_bias(biased, scored, (0.0, 1.0)) == bias_metrics.by_bias(*example(), (0.0, 1.0))


def test_an_extreme_bias_excludes_seen_or_unseen_classes():
    high, low = bias_metrics.by_bias(*example(), (1e6, -1e6))
    assert high["seen"] == low["unseen"] == high["hIoU"] == low["hIoU"] == 0.0
