import dataclasses

import numpy as np
import pytest
import torch

from zs3 import evaluation, metrics, pixel_classifier
from zs3.shards import maps

CLASSES = ("background", "cow", "dog")


def classifier(seen_bias=0.0):
    """Three classes of 4-d features, rows not in label order, dog unseen."""
    random = torch.Generator().manual_seed(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.randn(3, 4, generator=random),
        bias=torch.zeros(3),
        labels=torch.tensor([1, 2, 0]),
        unseen=torch.tensor([False, True, False]),
        seen_bias=seen_bias,
    )


def features(h, w, seed=0):
    return np.random.default_rng(seed).normal(size=(h, w, 4)).astype(np.float16)


def bilinear(values, size):
    """Resize (h, w, c) with half-pixel centres, edges repeated: the definition, pixel by pixel."""
    out = np.zeros((*size, values.shape[2]))
    for target in np.ndindex(*size):
        spots = []
        for axis in (0, 1):
            place = (target[axis] + 0.5) * values.shape[axis] / size[axis] - 0.5
            place = min(max(place, 0), values.shape[axis] - 1)
            low = int(np.floor(place))
            spots.append(((low, 1 - (place - low)), (min(low + 1, values.shape[axis] - 1), place - low)))
        out[target] = sum(a * b * values[i, j] for i, a in spots[0] for j, b in spots[1])
    return out


def slowly(model, cells, size):
    scores = cells.astype(np.float64) @ model.weight.double().numpy().T + model.bias.double().numpy()
    scores -= np.where(model.unseen.numpy(), 0, model.seen_bias)
    return model.labels.numpy()[bilinear(scores, size).argmax(2)]


@pytest.mark.parametrize("size", [(12, 16), (11, 13), (3, 4), (2, 3)])
@pytest.mark.parametrize("seen_bias", [0.0, 0.7])
def test_predictions_are_those_of_logits_resized_by_hand(size, seen_bias):
    model = classifier(seen_bias)
    actual = evaluation.predict(model, torch.from_numpy(features(3, 4)).float(), size)["generalised"]
    assert actual.dtype == torch.int64 and tuple(actual.shape) == size
    np.testing.assert_array_equal(actual.numpy(), slowly(model, features(3, 4), size))
    assert size[0] < 3 or len(actual.unique()) > 1


def cache():
    """Two images of different sizes, with ignored pixels."""
    for number, (h, w, size) in enumerate([(3, 4, (11, 13)), (2, 2, (8, 8))]):
        mask = np.random.default_rng(number).integers(0, 3, size).astype(np.uint8)
        mask[0] = 255
        yield maps.Map(f"image{number}", features(h, w, number), mask)


def by_hand(model):
    total = np.zeros((3, 3), dtype=int)
    for item in cache():
        predicted = slowly(model, item.features, item.mask.shape)
        for truth, guess in zip(item.mask.ravel(), predicted.ravel(), strict=True):
            if truth != 255:
                total[truth, guess] += 1
    return total


def test_confusions_with_and_without_the_bias():
    found = evaluation.confusions(classifier(0.7), cache(), 3)
    np.testing.assert_array_equal(found["calibrated"], by_hand(classifier(0.7)))
    np.testing.assert_array_equal(found["uncalibrated"], by_hand(classifier(0.0)))
    assert found["calibrated"].dtype == np.int64 and (found["calibrated"] != found["uncalibrated"]).any()
    assert set(found) == {"calibrated", "uncalibrated"}


def test_without_a_bias_both_are_the_same():
    found = evaluation.confusions(classifier(0.0), cache(), 3)
    np.testing.assert_array_equal(found["calibrated"], found["uncalibrated"])
    np.testing.assert_array_equal(found["calibrated"], by_hand(classifier(0.0)))
    assert set(found) == {"calibrated", "uncalibrated"}


def test_a_larger_bias_never_takes_a_pixel_from_the_unseen():
    columns = []
    for bias in (0.0, 0.5, 1.0, 2.0):
        model = dataclasses.replace(classifier(), seen_bias=bias)
        columns.append(evaluation.confusions(model, cache(), 3)["calibrated"][:, 2])
    assert (np.diff(columns, axis=0) >= 0).all() and columns[-1].sum() > columns[0].sum()


MATRIX = np.array([[6, 2, 0], [0, 0, 0], [0, 1, 3]])


def test_class_table_names_roles_and_leaves_absent_classes_empty():
    rows = evaluation.class_table(MATRIX, CLASSES, unseen=[2])
    assert [(row["class"], row["role"], row["pixels"]) for row in rows] == [
        ("background", "seen", 8),
        ("cow", "seen", 0),
        ("dog", "unseen", 4),
    ]
    assert rows[1]["IoU"] is None and rows[1]["accuracy"] is None
    assert [rows[0]["IoU"], rows[2]["IoU"]] == pytest.approx([75.0, 75.0])
    assert [rows[0]["accuracy"], rows[2]["accuracy"]] == pytest.approx([75.0, 75.0])
    figures = metrics.summarise(MATRIX, [0, 1], [2])
    assert figures["seen"]["mIoU"] == pytest.approx(75.0)


def test_confusion_table_is_the_matrix_in_long_form_by_share_of_the_truth():
    rows = evaluation.confusion_table(MATRIX, CLASSES)
    shares = {(row["truth"], row["prediction"]): row["share"] for row in rows}
    assert len(rows) == len(shares) == 9
    assert shares["background", "background"] == 75.0 and shares["background", "cow"] == 25.0
    assert shares["dog", "cow"] == 25.0 and shares["dog", "dog"] == 75.0
    assert all(shares["cow", name] == 0.0 for name in CLASSES)
    assert evaluation.confusion_table(np.array([[1, 2], [0, 0]]), ("a", "b"))[0]["share"] == 33.3333
