"""Segmentation against the evaluation's own label maps, and against transformations of the image that have a known answer."""

import dataclasses
import functools

import numpy as np
import pytest
import torch

from zeroshot.base import errors
from zeroshot.images import grids
from zeroshot.pixel_classifiers import labelling, masked_classifier, pixel_classifier
from zeroshot.prediction import segmenter
from zeroshot.prediction.model import Model

COLOURS = np.array([[0, 0, 0], [250, 20, 20], [20, 250, 20], [20, 20, 250]], np.uint8)
CLASSES = ("background", "red", "green", "blue")


def mean_colour(images, stride=4, margin=0):
    """Features of an image whose network is an average over cells."""
    beyond = [-(side + 2 * margin) % stride for side in images.shape[2:]]
    padded = torch.nn.functional.pad(
        images.float(), (margin, margin + beyond[1], margin, margin + beyond[0]), mode="replicate"
    )
    return torch.nn.functional.avg_pool2d(padded, stride) / 255


def plain():
    centres = torch.from_numpy(COLOURS).float() / 255
    unseen = torch.tensor([False, False, False, True])
    return pixel_classifier.PixelClassifier(20 * centres, -10 * (centres**2).sum(1), torch.arange(4), unseen)


def masked():
    """The same classes with a seen mask: green and blue are on the unseen side, black and red on the other.

    The log-odds less the threshold of 0.2 are zero in the middle between red and blue.
    """
    unseen_side = torch.tensor([False, False, True, True])
    return masked_classifier.MaskedClassifier(
        plain(), unseen_side, torch.tensor([0.0, -12.0, -12.0]), torch.tensor(7.5), 0.2
    )


def windowed():
    """The same classes, with the side of a pixel from 3 x 3 cells."""
    return dataclasses.replace(plain(), side_window=3)


@pytest.fixture(
    params=[(plain, 4, 0), (windowed, 4, 0), (masked, 4, 0), (masked, 32, 3)],
    ids=["plain", "windowed", "masked", "margin"],
)
def model(request):
    classifier, stride, margin = request.param
    extract = functools.partial(mean_colour, stride=stride, margin=margin)
    side = 25 * stride
    return Model(CLASSES, classifier(), extract, stride, COLOURS, side, "none", figures=None, margin=margin)


def evaluated(model, image):
    """The label map of the evaluation."""
    features = model.extract(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])[0].permute(1, 2, 0).numpy()
    is_masked = isinstance(model.classifier, masked_classifier.MaskedClassifier)
    predict = labelling.predict_masked_maps if is_masked else labelling.predict_maps
    size = tuple(side + 2 * model.margin for side in image.shape[:2])
    labels = predict(model.classifier, features, size, stride=model.stride)["generalised"]
    return labels[model.margin : size[0] - model.margin, model.margin : size[1] - model.margin]


def squares(model, height, width, side=16):
    """An image of squares in the colours of the classes, and its labels; lengths are in quarters of the model's stride."""
    y, x = np.mgrid[: height * model.stride // 4, : width * model.stride // 4] // (side * model.stride // 4)
    labels = ((y + 2 * x) % 4).astype(np.uint16)
    return COLOURS[labels], labels


@pytest.mark.parametrize("bias", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("size", [(45, 70), (33, 94)])
def test_labels_are_those_of_the_evaluation(model, size, bias):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    model = dataclasses.replace(model, classifier=dataclasses.replace(model.classifier, seen_bias=bias))
    found = segmenter.predict(image, model)
    assert found.labels.dtype == np.uint16 and np.array_equal(found.labels, evaluated(model, image))
    # Of four classes; with a window, of the likelier of two sides and of its three classes.
    least = 1 / 6 if model.classifier.unseen_side is model.classifier.unseen else 1 / 4
    assert found.confidence.min() > least - 0.001 and found.confidence.max() <= 1


def test_the_confidence_under_a_mask_is_that_of_the_side_times_that_of_the_class_in_it():
    image = np.random.default_rng(2).integers(0, 256, (1, 1, 3), dtype=np.uint8)
    model = Model(CLASSES, masked(), functools.partial(mean_colour, stride=1), 1, COLOURS, 100, "none", figures=None)
    found = segmenter.predict(image, model)
    colour = image[0, 0] / 255
    logits = 20 * (COLOURS / 255) @ colour - 10 * (COLOURS / 255) ** 2 @ np.ones(3)
    seen = 1 / (1 + np.exp(-(7.5 - 12 * (colour[1] + colour[2]) - 0.2)))
    sides = [(seen, [0, 1]), (1 - seen, [2, 3])]
    share, rows = max(sides, key=lambda side: side[0])
    among = np.exp(logits[rows]) / np.exp(logits[rows]).sum()
    assert found.labels[0, 0] == rows[int(among.argmax())]
    assert found.confidence[0, 0] == pytest.approx(share * among.max(), rel=1e-4)


@pytest.mark.parametrize("bias", [0.0, -2.0])
def test_the_confidence_with_a_window_is_that_of_the_side_times_that_of_the_class_in_it(bias):
    """An image of one colour, so that means over cells are the logits."""
    colour = np.array([60, 70, 120])
    classifier = dataclasses.replace(windowed(), seen_bias=bias)
    model = Model(CLASSES, classifier, mean_colour, 4, COLOURS, 100, "none", figures=None)
    found = segmenter.predict(np.broadcast_to(colour.astype(np.uint8), (20, 24, 3)), model)
    logits = 20 * (COLOURS / 255) @ (colour / 255) - 10 * (COLOURS / 255) ** 2 @ np.ones(3)
    seen = 1 / (1 + np.exp(-(logits[:3].max() - bias - logits[3])))
    among = np.exp(logits[:3]) / np.exp(logits[:3]).sum()
    expected = (int(among.argmax()), seen * among.max()) if seen >= 0.5 else (3, 1 - seen)
    assert (found.labels == expected[0]).all()
    np.testing.assert_allclose(found.confidence, expected[1], rtol=1e-4)


def test_strips_do_not_change_the_answer(model, monkeypatch):
    image, _ = squares(model, 90, 61)
    whole = segmenter.predict(image, model)
    monkeypatch.setattr(grids, "STRIP_VALUES", 1)
    strips = segmenter.predict(image, model)
    assert np.array_equal(whole.labels, strips.labels) and np.allclose(whole.confidence, strips.confidence, atol=1e-5)


@pytest.mark.parametrize("width", [64, 61])
@pytest.mark.parametrize("options", [{"flip": True}, {"scales": (1.0, 1.5)}, {"scales": (0.75, 2.0), "flip": True}])
def test_averaging_over_views_keeps_places(model, width, options):
    image, labels = squares(model, 48, width)
    found = segmenter.predict(image, model, segmenter.Options(**options))
    assert np.mean(found.labels == labels) > 0.9


def test_an_image_of_many_tiles(model):
    image, labels = squares(model, 150, 131)
    side = 16 * model.stride
    found = segmenter.predict(image, model, segmenter.Options(side=0, tile=side, overlap=side // 4))
    equal = np.mean(found.labels == segmenter.predict(image, model, segmenter.Options(side=0)).labels)
    # With a margin, the first cells of a tile show some pixels beyond it.
    assert equal == 1 if model.margin == 0 else equal > 0.99
    assert np.mean(found.labels == labels) > 0.9


def test_only_chosen_classes_and_the_background_compete(model):
    image, labels = squares(model, 32, 64)
    found = segmenter.predict(image, model, segmenter.Options(classes=("blue",)))
    assert set(np.unique(found.labels)) == {0, 3}
    assert np.mean(found.labels[labels == 3] == 3) > 0.9
    with pytest.raises(errors.UserError, match="no class `yellow`; the model has background, red, green, blue"):
        segmenter.predict(image, model, segmenter.Options(classes=("yellow",)))


@pytest.mark.parametrize(("left", "expected"), [([2, 3], {2, 3}), ([0, 1], {0, 1})])
def test_without_a_class_on_one_side_of_the_mask_all_pixels_are_on_the_other(left, expected):
    both = masked()
    model = Model(CLASSES, both.of(left), mean_colour, 4, COLOURS, 100, "none", figures=None)
    image, _ = squares(model, 48, 64)
    for regions in (0, 16):
        found = segmenter.predict(image, model, segmenter.Options(regions=regions))
        assert set(np.unique(found.labels)) == expected and found.confidence.min() >= 0.5


def test_regions_remove_what_is_smaller_than_a_region(model):
    image, labels = squares(model, 64, 64, 32)
    middle = 14 * model.stride // 4
    image[middle - 2 : middle + 2, middle - 2 : middle + 2] = COLOURS[(labels[middle, middle] + 1) % 4]
    if model.stride == 4:
        by_pixel, by_region = (
            segmenter.predict(image, model, segmenter.Options(regions=regions)).labels[13, 13] for regions in (0, 16)
        )
        assert by_pixel == (labels[14, 14] + 1) % 4 and by_region == labels[14, 14]
    else:
        found = segmenter.predict(image, model, segmenter.Options(regions=64, side=0)).labels
        assert np.mean(found == labels) > 0.9


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(model, image):
    with pytest.raises(ValueError, match=r"must be \(H, W, 3\) uint8"):
        segmenter.predict(image, model)


def test_a_shrunk_image_and_its_mirror_image_have_the_same_places(model):
    """The middle of a vertical edge, from both views of an image whose shrunk width is no multiple of the stride."""
    unit = model.stride // 4
    image = np.zeros((120 * unit, 246 * unit, 3), np.uint8)
    image[:] = COLOURS[1]
    image[:, 123 * unit :] = COLOURS[3]
    for options in ({}, {"flip": True}):
        labels = segmenter.predict(image, model, segmenter.Options(side=82 * unit + 1, **options)).labels
        edge = (labels[60 * unit] == 1).sum()
        assert abs(edge - 123 * unit) <= 4 * unit, options


def test_tiles_of_fcn_32s_are_multiples_of_32_pixels():
    classifier, extract = masked(), functools.partial(mean_colour, stride=32, margin=3)
    model = Model(CLASSES, classifier, extract, 32, COLOURS, 100, "none", figures=None, margin=3)
    for options in ({"tile": 208}, {"overlap": 16}):
        with pytest.raises(errors.UserError, match=f"{next(iter(options))}: needs a multiple of 32 .*for this model"):
            segmenter.predict(np.zeros((32, 32, 3), np.uint8), model, segmenter.Options(**options))


@pytest.mark.parametrize(
    "changes", [{"side": 5}, {"side": -1}, {"scales": ()}, {"tile": 100}, {"overlap": 5}, {"regions": -1}]
)
def test_impossible_options_are_refused(model, changes):
    with pytest.raises(errors.UserError, match=next(iter(changes))):
        segmenter.predict(np.zeros((32, 32, 3), np.uint8), model, segmenter.Options(**changes))
