import base64
import dataclasses
import io

import numpy as np
import PIL.Image
import pytest
import scipy.sparse

from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions
from zeroshot.figures import colours
from zeroshot.images import label_ids
from zeroshot.report import image_browser

SPLIT = splits.Split(("background", "cow", "dog"), (0, 1), (2,), "images", (), (), ())


def decoded(uri):
    kind, _, content = uri.partition(";base64,")
    assert kind.startswith("data:image/")
    return PIL.Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize("labels", [[[0, 1], [2, label_ids.IGNORE_INDEX]], [[1, 300], [0, 2]], [[2, 2], [1, 1]]])
def test_label_maps_have_the_colours_of_their_labels_over_a_transparent_background(labels):
    labels = np.array(labels, np.uint16)
    pixels = np.asarray(decoded(image_browser.label_map(labels)).convert("RGBA"))
    np.testing.assert_array_equal(pixels[..., :3], colours.label_palette()[labels])
    np.testing.assert_array_equal(pixels[..., 3], np.where(labels == 0, 0, 255))


def test_a_map_of_more_labels_than_a_palette_has_keeps_all_of_them():
    labels = np.arange(400, dtype=np.uint16).reshape(20, 20)
    pixels = np.asarray(decoded(image_browser.label_map(labels)))
    np.testing.assert_array_equal(pixels[..., :3], colours.label_palette()[labels])
    assert pixels[0, 0, 3] == 0 and (pixels.reshape(-1, 4)[1:, 3] == 255).all()


def test_large_images_are_shrunk_and_small_ones_are_exact():
    small = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(decoded(image_browser.photograph(small))), small)
    assert decoded(image_browser.photograph(np.zeros((1000, 2000, 3), np.uint8))).size == (512, 256)
    assert decoded(image_browser.label_map(np.ones((1000, 2000), np.uint16))).size == (512, 256)


def test_scores_of_one_image():
    """30 of 40 background pixels and 10 of 20 dog pixels are right; the rest is exchanged."""
    matrix = np.array([[30, 0, 10], [0, 0, 0], [10, 0, 10]])
    scores = image_browser.scores(matrix, SPLIT)
    assert scores["classes"] == {"0": [40, 60.0], "2": [20, 33.3]}
    assert scores["miou"] == pytest.approx(46.7) and scores["accuracy"] == pytest.approx(66.7)
    assert scores["hiou"] == pytest.approx(2 * 60 * 33.333 / 93.333, abs=0.05)


def test_an_image_without_an_unseen_class_has_no_hiou_and_wrong_classes_have_no_iou():
    scores = image_browser.scores(np.array([[30, 0, 10], [0, 0, 0], [0, 0, 0]]), SPLIT)
    assert scores["hiou"] is None and scores["classes"] == {"0": [40, 75.0], "2": [0, None]}


def test_data_has_the_scores_of_the_right_image():
    matrices = [np.diag([4, 0, 0]), np.array([[0, 4, 0], [0, 0, 0], [0, 0, 0]])]
    counts = scipy.sparse.csr_matrix(np.stack([matrix.ravel() for matrix in matrices]))
    confusions = {"zs3net": image_confusions.ImageConfusions(("a", "b"), 3, {"generalised": counts})}
    blank = np.zeros((2, 2), np.uint16)
    images = [(name, np.zeros((2, 2, 3), np.uint8), blank, {"zs3net": blank}) for name in ("b", "a")]
    data = image_browser.data(dataclasses.replace(SPLIT, classes=("background", "cow", "<b>")), images, confusions)
    assert [(image["name"], image["scores"]["zs3net"]["accuracy"]) for image in data["images"]] == [
        ("b", 0),
        ("a", 100),
    ]
    # In image b the model's metrics count four pixels of a class that its label map does not show.
    assert data["differing"] == ["zs3net"]
    assert image_browser.data(SPLIT, images[1:], confusions)["differing"] == []
    assert data["classes"][2] == {"name": "<b>", "unseen": True, "colour": "#56b4e9"} and data["models"] == ["zs3net"]


def test_images_are_chosen_by_their_names_alone():
    names = [f"image{number}" for number in range(20)]
    chosen = image_browser.by_hash(names, 5)
    assert len(set(chosen)) == 5 and chosen == image_browser.by_hash(names[::-1], 5) != names[:5]
