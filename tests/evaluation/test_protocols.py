import dataclasses
import functools

import numpy as np
import pytest
import torch

from tests.support import resized_logits
from zeroshot.base import errors, params
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.evaluation import metrics, protocols
from zeroshot.pixel_classifiers import labelling

CLASSES = ("background", "cow", "dog")
SPLIT = splits.Split(CLASSES, (0, 1), (2,), "images", (), (), ())


classifier, features = resized_logits.classifier, resized_logits.features


def totals(confusions):
    """Return the confusion matrix of all images by protocol."""
    return {name: confusions.total(name) for name in confusions.counts}


def confusions(model, feature_maps, *arguments):
    predict = functools.partial(labelling.predict_maps, model, stride=4)
    return totals(protocols.confusions(predict, feature_maps, *arguments))


def cache():
    """Yield the maps of two images of different sizes, with ignored pixels."""
    for number, (h, w, size) in enumerate([(3, 4, (11, 13)), (2, 2, (8, 8))]):
        mask = np.random.default_rng(number).integers(0, 3, size).astype(np.uint16)
        mask[0] = 65535
        yield maps.Map(f"image{number}", features(h, w, number), mask)


def by_hand(model):
    """Return the generalised confusion matrix, counted pixel by pixel."""
    total = np.zeros((3, 3), dtype=int)
    for item in cache():
        label_map = resized_logits.label_map(model, item.features, item.mask.shape)
        for truth, prediction in zip(item.mask.ravel(), label_map.ravel(), strict=True):
            if truth != 65535:
                total[truth, prediction] += 1
    return total


def test_each_image_has_its_own_matrix_in_the_order_of_the_cache():
    predict = functools.partial(labelling.predict_maps, classifier(0.7), stride=4)
    every = protocols.confusions(predict, cache(), SPLIT, None, 2)
    assert every.images == ("image0", "image1")
    for row, item in enumerate(cache()):
        alone = totals(protocols.confusions(predict, [item], SPLIT))
        for name, matrix in alone.items():
            np.testing.assert_array_equal(every.counts[name][row].toarray().reshape(3, 3), matrix)


def test_confusions_match_counts_with_and_without_the_bias():
    matrices = confusions(classifier(0.7), cache(), SPLIT)
    np.testing.assert_array_equal(matrices["generalised"], by_hand(classifier(0.7)))
    np.testing.assert_array_equal(matrices["without_bias"], by_hand(classifier(0.0)))
    assert matrices["generalised"].dtype == np.int64 and (matrices["generalised"] != matrices["without_bias"]).any()
    assert set(matrices) == {"generalised", "without_bias", "vanilla"}


@pytest.mark.parametrize("workers", [1, 3])
def test_confusions_do_not_depend_on_the_number_of_threads(workers):
    without_threads, with_threads = (confusions(classifier(0.7), cache(), SPLIT, None, n) for n in (0, workers))
    assert set(without_threads) == set(with_threads)
    for name, matrix in without_threads.items():
        np.testing.assert_array_equal(with_threads[name], matrix)


def test_matrices_are_equal_without_a_bias():
    matrices = confusions(classifier(0.0), cache(), SPLIT)
    np.testing.assert_array_equal(matrices["generalised"], matrices["without_bias"])
    np.testing.assert_array_equal(matrices["generalised"], by_hand(classifier(0.0)))


def test_unseen_predictions_never_decrease_with_the_bias():
    columns = []
    for bias in (0.0, 0.5, 1.0, 2.0):
        model = dataclasses.replace(classifier(), seen_bias=bias)
        columns.append(confusions(model, cache(), SPLIT)["generalised"][:, 2])
    assert (np.diff(columns, axis=0) >= 0).all() and columns[-1].sum() > columns[0].sum()


def two_unseen(seen_bias=0.0):
    """Return the classifier and the split with `cow` unseen too."""
    model = dataclasses.replace(classifier(seen_bias), unseen=torch.tensor([True, True, False]))
    return model, dataclasses.replace(SPLIT, seen=(0,), unseen=(1, 2))


def vanilla_by_sets():
    """Return the metrics of the vanilla protocol, computed from sets of pixels."""
    model, split = two_unseen()
    columns = {label: model.labels.tolist().index(label) for label in split.unseen}
    true = {label: set() for label in split.unseen}
    predicted = {label: set() for label in split.unseen}
    for item in cache():
        logits = resized_logits.scores(model, item.features, item.mask.shape, item.mask.shape)
        for y, x in np.ndindex(item.mask.shape):
            if item.mask[y, x] in true:
                true[item.mask[y, x]].add((item.image, y, x))
                best = split.unseen[int(np.argmax([logits[y, x, columns[label]] for label in split.unseen]))]
                predicted[best].add((item.image, y, x))
    hits = {label: len(true[label] & predicted[label]) for label in split.unseen}
    ious = {label: hits[label] / len(true[label] | predicted[label]) for label in split.unseen}
    n_true = sum(map(len, true.values()))
    return {
        "PA": 100 * sum(hits.values()) / n_true,
        "MA": 100 * np.mean([hits[label] / len(true[label]) for label in split.unseen]),
        "mIoU": 100 * np.mean(list(ious.values())),
        "fwIoU": 100 * sum(len(true[label]) * ious[label] for label in split.unseen) / n_true,
    }


@pytest.mark.parametrize("seen_bias", [0.0, 0.7, 50.0])
def test_vanilla_metrics_match_sets_of_pixels_for_any_bias(seen_bias):
    model, split = two_unseen(seen_bias)
    matrix = confusions(model, cache(), split)["vanilla"]
    expected = vanilla_by_sets()
    assert metrics.summarise(matrix, split.seen, split.unseen)["unseen"] == pytest.approx(expected)
    assert 0 < expected["mIoU"] < expected["PA"] < 100
    assert matrix[0].sum() == matrix[:, 0].sum() == 0


def test_vanilla_is_invariant_to_seen_pixels_and_seen_logits():
    model, split = two_unseen(0.7)
    before = confusions(model, cache(), split)["vanilla"]
    with_seen_logit = dataclasses.replace(model, bias=torch.tensor([0.0, 0.0, 9.0]))
    ignored = [dataclasses.replace(item, mask=np.where(item.mask == 0, 65535, item.mask)) for item in cache()]
    after = confusions(with_seen_logit, ignored, split)
    np.testing.assert_array_equal(after["vanilla"], before)
    assert (before != after["generalised"]).any()


def test_model_without_unseen_classes_has_no_vanilla_protocol():
    model = dataclasses.replace(classifier(), unseen=torch.zeros(3, dtype=torch.bool))
    matrices = confusions(model, cache(), SPLIT)
    assert set(matrices) == {"generalised", "without_bias"}
    np.testing.assert_array_equal(matrices["generalised"], by_hand(model))


def resized_by_hand(model, short_side):
    """Return the confusion matrix for masks resized to shorter side `short_side`; each pixel has the label under its centre."""
    total = np.zeros((3, 3), dtype=int)
    for item in cache():
        height, width = item.mask.shape
        factor = short_side / min(height, width)
        size = int(height * factor + 1e-9), int(width * factor + 1e-9)
        label_map = resized_logits.label_map(model, item.features, (height, width), size)
        for y, x in np.ndindex(size):
            truth = item.mask[int((y + 0.5) * height / size[0]), int((x + 0.5) * width / size[1])]
            if truth != 65535:
                total[truth, label_map[y, x]] += 1
    return total


# At these sizes, no centre of a pixel is on the border of two pixels of the masks.
@pytest.mark.parametrize("short_side", [8, 24, 40])
def test_resized_evaluation_matches_counts_on_resized_masks(short_side):
    matrix = confusions(classifier(0.7), cache(), SPLIT, short_side)["generalised"]
    np.testing.assert_array_equal(matrix, resized_by_hand(classifier(0.7), short_side))
    assert matrix.sum() != by_hand(classifier(0.7)).sum()


def test_resizing_to_the_same_size_changes_nothing():
    item = next(cache())
    for short_side in (None, 11):
        matrix = confusions(classifier(), [item], SPLIT, short_side)["generalised"]
        np.testing.assert_array_equal(matrix, confusions(classifier(), [item], SPLIT)["generalised"])


def test_any_function_from_features_to_label_maps_is_evaluated():
    """Every label map that `predict` returns is counted, whatever the model."""
    calls = []

    def predict(cells, size, image_size):
        calls.append((cells.dtype, cells.shape, size, image_size))
        return {"generalised": np.full(size, 2), "other": np.zeros(size, np.uint16)}

    matrices = totals(protocols.confusions(predict, cache(), SPLIT))
    assert calls == [(np.float16, (3, 4, 4), (11, 13), (11, 13)), (np.float16, (2, 2, 4), (8, 8), (8, 8))]
    pixels = [sum(int((item.mask == label).sum()) for item in cache()) for label in range(3)]
    assert matrices["generalised"][:, 2].tolist() == matrices["other"][:, 0].tolist() == pixels
    assert matrices["generalised"].sum() == matrices["other"].sum() == sum(pixels)


def options(**changes):
    return params.build({"short_side": None, "absent_classes": "skip", **changes}, protocols.Params, "evaluation")


def cache_index(**features):
    """Return the index of a cache whose dump had these options."""
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
def test_protocol_has_the_options_and_the_image_size(short_side, features, image_short_side):
    protocol = protocols.protocol(options(short_side=short_side, absent_classes="zero"), cache_index(**features))
    assert protocol == {"short_side": short_side, "absent_classes": "zero", "image_short_side": image_short_side}


def test_resizing_masks_twice_is_refused():
    with pytest.raises(errors.UserError) as caught:
        protocols.protocol(options(short_side=312), cache_index(val_short_side=513))
    assert str(caught.value) == (
        "evaluation.short_side: is 312, but the cached masks were resized to features.val_short_side, 513; "
        "set it to 513 or null, or change features.val_short_side too"
    )


def test_a_cache_without_the_record_of_pretraining_is_refused():
    cache = index.Index("maps", 4, 4, list(CLASSES), [], [], {"pretraining": "labels"})
    assert protocols.pretraining_of(cache) == "labels"
    for provenance in ({}, {"pretraining": 3}):
        with pytest.raises(errors.UserError, match="does not say what the encoder was pretrained with .*dump_features"):
            protocols.pretraining_of(dataclasses.replace(cache, provenance=provenance))
