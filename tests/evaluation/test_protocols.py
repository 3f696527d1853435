import dataclasses

import numpy as np
import pytest
import torch

from zeroshot.base import errors, params
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.evaluation import metrics, protocols
from zeroshot.zs3net import pixel_classifier

CLASSES = ("background", "cow", "dog")
SPLIT = splits.Split(CLASSES, (0, 1), (2,), "images", (), (), ())


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


def scores(model, cells, size):
    """Return the upsampled logits (H, W, C) without a bias, in the order of the rows."""
    return bilinear(cells.astype(np.float64) @ model.weight.double().numpy().T + model.bias.double().numpy(), size)


def slowly(model, cells, size):
    biased = scores(model, cells, size) - np.where(model.unseen.numpy(), 0, model.seen_bias)
    return model.labels.numpy()[biased.argmax(2)]


@pytest.mark.parametrize("size", [(12, 16), (11, 13), (3, 4), (2, 3)])
@pytest.mark.parametrize("seen_bias", [0.0, 0.7])
def test_predictions_are_those_of_logits_resized_by_hand(size, seen_bias):
    model = classifier(seen_bias)
    actual = protocols.predict(model, torch.from_numpy(features(3, 4)).float(), size)["generalised"]
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
    found = protocols.confusions(classifier(0.7), cache(), SPLIT)
    np.testing.assert_array_equal(found["generalised"], by_hand(classifier(0.7)))
    np.testing.assert_array_equal(found["without_bias"], by_hand(classifier(0.0)))
    assert found["generalised"].dtype == np.int64 and (found["generalised"] != found["without_bias"]).any()
    assert set(found) == {"generalised", "without_bias", "vanilla"}


def test_without_a_bias_both_are_the_same():
    found = protocols.confusions(classifier(0.0), cache(), SPLIT)
    np.testing.assert_array_equal(found["generalised"], found["without_bias"])
    np.testing.assert_array_equal(found["generalised"], by_hand(classifier(0.0)))


def test_a_larger_bias_never_takes_a_pixel_from_the_unseen():
    columns = []
    for bias in (0.0, 0.5, 1.0, 2.0):
        model = dataclasses.replace(classifier(), seen_bias=bias)
        columns.append(protocols.confusions(model, cache(), SPLIT)["generalised"][:, 2])
    assert (np.diff(columns, axis=0) >= 0).all() and columns[-1].sum() > columns[0].sum()


def two_unseen(seen_bias=0.0):
    """The classifier and split with cow unseen too."""
    model = dataclasses.replace(classifier(seen_bias), unseen=torch.tensor([True, True, False]))
    return model, dataclasses.replace(SPLIT, seen=(0,), unseen=(1, 2))


def vanilla_by_sets():
    """PA, MA and mIoU of the vanilla protocol, from sets of pixels."""
    model, split = two_unseen()
    columns = {label: model.labels.tolist().index(label) for label in split.unseen}
    true = {label: set() for label in split.unseen}
    said = {label: set() for label in split.unseen}
    for item in cache():
        logits = scores(model, item.features, item.mask.shape)
        for y, x in np.ndindex(item.mask.shape):
            if item.mask[y, x] in true:
                true[item.mask[y, x]].add((item.image, y, x))
                best = split.unseen[int(np.argmax([logits[y, x, columns[label]] for label in split.unseen]))]
                said[best].add((item.image, y, x))
    hits = {label: len(true[label] & said[label]) for label in split.unseen}
    return {
        "PA": 100 * sum(hits.values()) / sum(map(len, true.values())),
        "MA": 100 * np.mean([hits[label] / len(true[label]) for label in split.unseen]),
        "mIoU": 100 * np.mean([hits[label] / len(true[label] | said[label]) for label in split.unseen]),
    }


@pytest.mark.parametrize("seen_bias", [0.0, 0.7, 50.0])
def test_vanilla_is_that_of_sets_of_pixels_whatever_the_bias(seen_bias):
    model, split = two_unseen(seen_bias)
    matrix = protocols.confusions(model, cache(), split)["vanilla"]
    expected = vanilla_by_sets()
    assert metrics.summarise(matrix, split.seen, split.unseen)["unseen"] == pytest.approx(expected)
    assert 0 < expected["mIoU"] < expected["PA"] < 100
    assert matrix[0].sum() == matrix[:, 0].sum() == 0


def test_vanilla_does_not_look_at_seen_pixels_or_seen_logits():
    model, split = two_unseen(0.7)
    before = protocols.confusions(model, cache(), split)["vanilla"]
    other = dataclasses.replace(model, bias=torch.tensor([0.0, 0.0, 9.0]))
    ignored = [dataclasses.replace(item, mask=np.where(item.mask == 0, 255, item.mask)) for item in cache()]
    np.testing.assert_array_equal(protocols.confusions(other, ignored, split)["vanilla"], before)
    assert (before != protocols.confusions(other, ignored, split)["generalised"]).any()


def test_a_model_of_seen_classes_only_has_no_vanilla_protocol():
    model = dataclasses.replace(classifier(), unseen=torch.zeros(3, dtype=torch.bool))
    found = protocols.confusions(model, cache(), SPLIT)
    assert set(found) == {"generalised", "without_bias"}
    np.testing.assert_array_equal(found["generalised"], by_hand(model))


def resized_by_hand(model, short_side):
    """The confusion at masks whose shorter side is `short_side`, picking for each pixel the one under its centre."""
    total = np.zeros((3, 3), dtype=int)
    for item in cache():
        height, width = item.mask.shape
        factor = short_side / min(height, width)
        size = int(height * factor + 1e-9), int(width * factor + 1e-9)
        predicted = slowly(model, item.features, size)
        for y, x in np.ndindex(size):
            truth = item.mask[int((y + 0.5) * height / size[0]), int((x + 0.5) * width / size[1])]
            if truth != 255:
                total[truth, predicted[y, x]] += 1
    return total


# No pixel's centre lies on a border between two pixels of the masks.
@pytest.mark.parametrize("short_side", [8, 24, 40])
def test_resized_evaluation_compares_at_the_resized_masks(short_side):
    found = protocols.confusions(classifier(0.7), cache(), SPLIT, short_side)["generalised"]
    np.testing.assert_array_equal(found, resized_by_hand(classifier(0.7), short_side))
    assert found.sum() != by_hand(classifier(0.7)).sum()


def test_resizing_masks_to_their_own_size_changes_nothing():
    item = next(cache())
    for short_side in (None, 11):
        found = protocols.confusions(classifier(), [item], SPLIT, short_side)["generalised"]
        np.testing.assert_array_equal(found, protocols.confusions(classifier(), [item], SPLIT)["generalised"])


def options(**changes):
    return params.build({"short_side": None, "absent_classes": "skip", **changes}, protocols.Params, "evaluation")


def described(**features):
    return index.Index("maps", 4, 4, list(CLASSES), [], [], {"features": features} if features else {})


@pytest.mark.parametrize(
    ("short_side", "features", "image_short_side"),
    [
        (None, {}, None),
        (312, {}, None),
        (312, {"val_short_side": None}, None),
        (None, {"val_short_side": 312}, 312),
        (312, {"val_short_side": 312}, 312),
    ],
)
def test_the_protocol_is_named(short_side, features, image_short_side):
    found = protocols.protocol(options(short_side=short_side, absent_classes="zero"), described(**features))
    assert found == {"short_side": short_side, "absent_classes": "zero", "image_short_side": image_short_side}


def test_masks_are_not_resized_twice():
    with pytest.raises(errors.UserError) as caught:
        protocols.protocol(options(short_side=312), described(val_short_side=513))
    assert str(caught.value) == (
        "evaluation.short_side: is 312, but the cached masks have been resized to features.val_short_side, 513; "
        "make it 513 or null, or change features.val_short_side too"
    )
