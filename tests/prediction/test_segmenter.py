"""Segmentation against the evaluation's own label maps, and against transformations of the image that have a known answer."""

import dataclasses

import numpy as np
import pytest
import torch

from zeroshot.base import errors
from zeroshot.images import grids
from zeroshot.pixel_classifiers import labelling, pixel_classifier
from zeroshot.prediction import segmenter
from zeroshot.prediction.model import Model

COLOURS = np.array([[0, 0, 0], [250, 20, 20], [20, 250, 20], [20, 20, 250]], np.uint8)
CLASSES = ("background", "red", "green", "blue")


def mean_colour(images):
    """Features of an image whose network is an average over cells."""
    padded = torch.nn.functional.pad(
        images.float(), (0, -images.shape[3] % 4, 0, -images.shape[2] % 4), mode="replicate"
    )
    return torch.nn.functional.avg_pool2d(padded, 4) / 255


@pytest.fixture
def model():
    centres = torch.from_numpy(COLOURS).float() / 255
    weight = 20 * centres
    bias = -10 * (centres**2).sum(1)
    unseen = torch.tensor([False, False, False, True])
    classifier = pixel_classifier.PixelClassifier(weight, bias, torch.arange(4), unseen)
    return Model(CLASSES, classifier, mean_colour, 4, COLOURS, side=100, pretraining="none", figures=None)


def squares(height, width, side=16):
    """An image of squares in the colours of the classes, and its labels."""
    y, x = np.mgrid[:height, :width] // side
    labels = ((y + 2 * x) % 4).astype(np.uint16)
    return COLOURS[labels], labels


def test_labels_are_those_of_the_evaluation(model):
    image = np.random.default_rng(1).integers(0, 256, (45, 70, 3), dtype=np.uint8)
    model = dataclasses.replace(model, classifier=dataclasses.replace(model.classifier, seen_bias=0.7))
    features = mean_colour(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])[0].permute(1, 2, 0).numpy()
    expected = labelling.predict_maps(model.classifier, features, (45, 70), stride=4)["generalised"]
    found = segmenter.predict(image, model)
    assert found.labels.dtype == np.uint16 and np.array_equal(found.labels, expected)
    assert found.confidence.min() > 0.25 and found.confidence.max() <= 1


def test_strips_do_not_change_the_answer(model, monkeypatch):
    image, _ = squares(90, 61)
    whole = segmenter.predict(image, model)
    monkeypatch.setattr(grids, "STRIP_VALUES", 1)
    strips = segmenter.predict(image, model)
    assert np.array_equal(whole.labels, strips.labels) and np.allclose(whole.confidence, strips.confidence, atol=1e-5)


@pytest.mark.parametrize("width", [64, 61])
@pytest.mark.parametrize("options", [{"flip": True}, {"scales": (1.0, 1.5)}, {"scales": (0.75, 2.0), "flip": True}])
def test_averaging_over_views_keeps_places(model, width, options):
    image, labels = squares(48, width)
    found = segmenter.predict(image, model, segmenter.Options(**options))
    assert np.mean(found.labels == labels) > 0.9


def test_an_image_of_many_tiles(model):
    image, labels = squares(150, 131)
    found = segmenter.predict(image, model, segmenter.Options(tile=64, overlap=16))
    assert np.array_equal(found.labels, segmenter.predict(image, model).labels)
    assert np.mean(found.labels == labels) > 0.9


def test_only_chosen_classes_and_the_background_compete(model):
    image, labels = squares(32, 64)
    found = segmenter.predict(image, model, segmenter.Options(classes=("blue",)))
    assert set(np.unique(found.labels)) == {0, 3}
    assert np.mean(found.labels[labels == 3] == 3) > 0.9
    with pytest.raises(errors.UserError, match="no class `yellow`; the model has background, red, green, blue"):
        segmenter.predict(image, model, segmenter.Options(classes=("yellow",)))


def test_regions_remove_what_is_smaller_than_a_region(model):
    image, labels = squares(64, 64, 32)
    image[12:16, 12:16] = COLOURS[(labels[14, 14] + 1) % 4]
    by_pixel, by_region = (
        segmenter.predict(image, model, segmenter.Options(regions=regions)).labels[13, 13] for regions in (0, 16)
    )
    assert by_pixel == (labels[14, 14] + 1) % 4 and by_region == labels[14, 14]


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(model, image):
    with pytest.raises(ValueError, match=r"must be \(H, W, 3\) uint8"):
        segmenter.predict(image, model)


def test_a_shrunk_image_and_its_mirror_image_have_the_same_places(model):
    """The middle of a vertical edge, from both views of an image whose shrunk width is no multiple of the stride."""
    image = np.zeros((120, 246, 3), np.uint8)
    image[:] = COLOURS[1]
    image[:, 123:] = COLOURS[3]
    for options in ({}, {"flip": True}):
        labels = segmenter.predict(image, model, segmenter.Options(side=82, **options)).labels
        edge = (labels[60] == 1).sum()
        assert abs(edge - 123) <= 4, options
    assert model.side == 100


@pytest.mark.parametrize(
    "changes", [{"side": 5}, {"side": -1}, {"scales": ()}, {"tile": 100}, {"overlap": 5}, {"regions": -1}]
)
def test_impossible_options_are_refused(model, changes):
    with pytest.raises(errors.UserError, match=next(iter(changes))):
        segmenter.predict(np.zeros((32, 32, 3), np.uint8), model, segmenter.Options(**changes))
