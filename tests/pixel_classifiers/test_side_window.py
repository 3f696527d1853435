"""Seen or unseen from logits that are averaged over a window of cells."""

import dataclasses

import numpy as np
import pydantic
import pytest
import torch

from tests.pixel_classifiers.test_pixel_classifier import LargestTensor, many_classes
from tests.support import quick_sections, resized_logits
from zeroshot.base import params
from zeroshot.images import grids
from zeroshot.pixel_classifiers import labelling, pixel_classifier, side_window


def windowed(window, seen_bias=0.0):
    return dataclasses.replace(resized_logits.classifier(seen_bias), side_window=window)


def averaged(values, window):
    """The means of (h, w, c) over windows that end at the border, from their definition."""
    reach, means = window // 2, np.empty_like(values)
    for y, x in np.ndindex(values.shape[:2]):
        means[y, x] = values[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].mean((0, 1))
    return means


def expected(model, cells, image, size):
    """The labels by protocol, from sides that are upsampled pixel by pixel."""
    logits = cells.astype(np.float64) @ model.weight.double().numpy().T + model.bias.double().numpy()
    means, unseen = averaged(logits, model.side_window), model.unseen.numpy()
    margin = means[..., ~unseen].max(-1, keepdims=True) - means[..., unseen].max(-1, keepdims=True)
    pixels = resized_logits.bilinear(margin, (4 * cells.shape[0], 4 * cells.shape[1]))[: image[0], : image[1]]
    margin = pixels[..., 0] if image == size else resized_logits.bilinear(pixels, size)[..., 0]
    scores = resized_logits.scores(model, cells, image, size)
    best = [model.labels.numpy()[side][scores[..., side].argmax(-1)] for side in (~unseen, unseen)]
    biases = {"generalised": model.seen_bias, "without_bias": 0.0}
    return {name: np.where(margin >= bias, *best) for name, bias in biases.items()} | {"vanilla": best[1]}


@pytest.mark.parametrize("window", [3, 5, 15])
@pytest.mark.parametrize(("image", "size"), [((20, 24), None), ((17, 21), None), ((17, 21), (30, 25))])
@pytest.mark.parametrize("seen_bias", [0.0, 0.4])
def test_label_maps_equal_those_of_an_independent_computation(window, image, size, seen_bias):
    model, cells = windowed(window, seen_bias), resized_logits.features(5, 6, seed=3)
    label_maps = labelling.predict_maps(model, cells, size or image, image, stride=4)
    truth = expected(model, cells, image, size or image)
    assert list(label_maps) == list(truth)
    for name, labels in truth.items():
        np.testing.assert_array_equal(label_maps[name], labels)
    alone = labelling.predict_maps(windowed(1, seen_bias), cells, size or image, image, stride=4)
    assert not np.array_equal(alone["generalised"], label_maps["generalised"])
    np.testing.assert_array_equal(alone["vanilla"], label_maps["vanilla"])


def outlier(window):
    """The labels of 9 x 9 cells of seen class 0, some of them of seen class 1; at (4, 4) unseen class 2 has the largest logit."""
    cells = np.zeros((9, 9, 3), np.float16)
    cells[..., 0] = 1
    cells[:, 6:] = [0, 1, 0]
    cells[4, 4] = [0, 0, 2]
    model = pixel_classifier.PixelClassifier(
        torch.eye(3), torch.zeros(3), torch.arange(3), torch.tensor([False, False, True]), side_window=window
    )
    return labelling.predict_maps(model, cells, (9, 9), stride=1)["generalised"]


def test_an_outlier_gets_the_side_of_its_neighbours_and_other_labels_stay():
    alone, with_neighbours = outlier(1), outlier(3)
    assert alone[4, 4] == 2 and with_neighbours[4, 4] != 2
    others = np.ones((9, 9), bool)
    others[4, 4] = False
    np.testing.assert_array_equal(alone[others], with_neighbours[others])


def test_at_the_border_the_mean_is_over_the_cells_that_there_are():
    values = torch.arange(12.0).reshape(1, 1, 3, 4)
    means = side_window.average(values, 3)[0, 0]
    assert means[0, 0] == values[0, 0, :2, :2].mean() and means[2, 1] == values[0, 0, 1:, :3].mean()
    torch.testing.assert_close(side_window.average(values, 9)[0, 0], torch.full((3, 4), 5.5))
    assert side_window.average(values, 1) is values


@pytest.mark.parametrize("unseen", [[False] * 3, [True] * 3])
def test_without_a_class_on_one_side_the_window_does_nothing(unseen):
    cells, both = resized_logits.features(3, 4), []
    for window in (1, 5):
        model = dataclasses.replace(windowed(window), unseen=torch.tensor(unseen))
        assert model.unseen_side is None
        if not all(unseen):
            both.append(labelling.predict_maps(model, cells, (12, 16), stride=4)["generalised"])
    assert all(np.array_equal(both[0], other) for other in both)


@pytest.mark.parametrize("image", [(1, 1), (37, 53), (50, 3), (23, 100)])
@pytest.mark.parametrize("size", [None, (31, 22)])
@pytest.mark.parametrize("values", [1, 3000])
def test_strips_give_the_labels_of_the_whole_image(monkeypatch, image, size, values):
    cells = np.random.default_rng(0).normal(size=(-(-image[0] // 4), -(-image[1] // 4), 4)).astype(np.float16)
    model = dataclasses.replace(many_classes(11), side_window=5)
    whole = labelling.predict_maps(model, cells, size or image, image, stride=4)
    monkeypatch.setattr(grids, "STRIP_VALUES", values)
    strips = labelling.predict_maps(model, cells, size or image, image, stride=4)
    for name in whole:
        np.testing.assert_array_equal(strips[name], whole[name])


def test_memory_is_bounded_for_more_rows(monkeypatch):
    monkeypatch.setattr(grids, "STRIP_VALUES", 50_000)
    peaks = []
    for height in (100, 800):
        cells = np.ones((height // 4, 10, 1), np.float16)
        with LargestTensor() as largest:
            model = dataclasses.replace(many_classes(10, 1), side_window=7)
            labelling.predict_maps(model, cells, (height, 40), stride=4)
        peaks.append(largest.values)
    # The larger image has 320,000 values.
    assert 0 < max(peaks) <= 50_000, peaks


def test_a_classifier_file_has_the_window_and_older_files_have_none(tmp_path):
    pixel_classifier.save(tmp_path / "new.pt", windowed(7))
    assert pixel_classifier.load(tmp_path / "new.pt")[0].side_window == 7
    entries = dataclasses.asdict(windowed(7))
    del entries["side_window"]
    torch.save({"classifier": entries}, tmp_path / "old.pt")
    assert pixel_classifier.load(tmp_path / "old.pt")[0].side_window == 1


@pytest.mark.parametrize(
    ("window", "message"), [(4, "needs an odd number of cells, found 4"), (-1, "greater than or equal to 1"), (0, "1")]
)
def test_a_window_has_a_cell_in_its_middle(window, message):
    with pytest.raises(params.ParamsError, match=f"classifier.side_window: .*{message}"):
        quick_sections.classifier_options(side_window=window)
    with pytest.raises(pydantic.ValidationError):
        pydantic.TypeAdapter(side_window.Window).validate_python(window)
