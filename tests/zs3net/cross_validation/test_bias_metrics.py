import dataclasses

import numpy as np
import pytest
import torch

from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.cross_validation import bias_metrics


def example(n=200):
    """A random classifier of labels 0, 2, 3 (seen) and 5, 1 (unseen), and rows of all of them."""
    rng = np.random.default_rng(0)
    classifier = pixel_classifier.PixelClassifier(
        weight=torch.from_numpy(rng.normal(size=(5, 6))).float(),
        bias=torch.from_numpy(rng.normal(size=5)).float(),
        labels=torch.tensor([0, 2, 3, 5, 1]),
        unseen=torch.tensor([False, False, False, True, True]),
    )
    truth = rng.choice([0, 1, 2, 3, 5], n).astype(np.uint8)
    weights = rng.integers(1, 5, n).astype(np.float32)
    return classifier, {"features": rng.normal(size=(n, 6)).astype(np.float16), "label": truth, "weight": weights}


def slowly(classifier, scored, bias):
    """The definition, row by row: IoU from weights of sets, then two averages and their harmonic mean."""
    labels = classifier.labels.tolist()
    hits, true, said = (dict.fromkeys(labels, 0.0) for _ in range(3))
    columns = scored["features"].astype(np.float64), scored["label"].tolist(), scored["weight"].tolist()
    for x, label, weight in zip(*columns, strict=True):
        scores = classifier.weight.double().numpy() @ x + classifier.bias.double().numpy()
        scores -= np.where(classifier.unseen.numpy(), 0, bias)
        guess = labels[int(scores.argmax())]
        hits[label] += weight * (guess == label)
        true[label] += weight
        said[guess] += weight
    ious = {label: hits[label] / (true[label] + said[label] - hits[label]) for label in labels}
    seen, unseen = (100 * np.mean([ious[label] for label in group]) for group in ([0, 2, 3], [1, 5]))
    return {"seen": seen, "unseen": unseen, "hIoU": 2 * seen * unseen / (seen + unseen)}


@pytest.mark.parametrize("chunk", [7, 200, 65536])
def test_metrics_at_each_bias_are_those_of_their_definition(chunk):
    biases = (0.0, 0.5, -1.0, 3.0)
    actual = bias_metrics.by_bias(*example(), biases, chunk)
    for metrics, bias in zip(actual, biases, strict=True):
        assert metrics == pytest.approx(slowly(*example(), bias))
    assert len({metrics["hIoU"] for metrics in actual}) == 4


def test_a_weight_is_worth_as_many_rows():
    classifier, scored = example()
    times = scored["weight"].astype(int)
    repeated = {name: np.repeat(column, times, axis=0) for name, column in scored.items()}
    repeated["weight"] = np.ones(times.sum(), np.float32)
    biases = (0.0, 1.0)
    one, other = (bias_metrics.by_bias(classifier, table, biases) for table in (scored, repeated))
    assert all(a == pytest.approx(b) for a, b in zip(one, other, strict=True))


def test_the_bias_of_the_classifier_itself_is_left_out():
    classifier, scored = example()
    biased = dataclasses.replace(classifier, seen_bias=2.0)
    assert bias_metrics.by_bias(biased, scored, (0.0, 1.0)) == bias_metrics.by_bias(*example(), (0.0, 1.0))


def test_a_huge_bias_leaves_nothing_to_the_seen():
    more, less = bias_metrics.by_bias(*example(), (1e6, -1e6))
    assert more["seen"] == less["unseen"] == more["hIoU"] == less["hIoU"] == 0.0
