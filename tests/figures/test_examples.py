"""Images of a cache whose maps have a margin: figures and the report show them without it."""

import dataclasses
import pathlib

import numpy as np
import pytest
import torch

from tests.stages import test_visualise
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.figures import examples
from zeroshot.pixel_classifiers import labelling
from zeroshot.report import image_sections, model_sections, workspace

MARGIN = 1


@pytest.fixture
def world(tmp_path):
    """Two models, and the cache features/val, whose index says that its maps have a margin."""
    models = test_visualise.write(tmp_path)
    folder = tmp_path / "features/val"
    described = dataclasses.replace(index.read(folder), margin=MARGIN)
    index.write(folder, described)
    return tmp_path, folder, described, models["zs3net"]


def inside(labels):
    return labels[MARGIN:-MARGIN, MARGIN:-MARGIN]


def expected(folder, model, image):
    """The true and the predicted label map of an image without the margin."""
    (item,) = maps.read(folder, {image})
    labels = labelling.predict_maps(model, item.features, item.mask.shape, stride=4)["generalised"]
    return inside(item.mask), inside(labels)


def test_figures_show_no_margin(world):
    root, folder, described, model = world
    split, path = splits.read(root / "data/split.json"), root / "models/classifiers/zs3net.pt"
    column = examples.Model("ZS3Net", path, "generalised")
    (row,) = examples.read(["val1"], [column], folder, split, root / "data/world", torch.device("cpu"))
    truth, labels = expected(folder, model, "val1")
    np.testing.assert_array_equal(row.truth, truth)
    np.testing.assert_array_equal(row.predictions[0].labels, labels)


def test_the_report_shows_no_margin(world):
    root, folder, described, model = world
    run = workspace.Workspace(root, splits.read(root / "data/split.json"), "", {}, ())
    found = model_sections.Evaluation(folder, described, {"zs3net": model}, ())
    shown = list(image_sections._images(run, found, ["val0", "val2"], ["zs3net"], pathlib.Path(root, "data/world")))
    assert [name for name, *_ in shown] == ["val0", "val2"]
    for name, _, found_truth, predictions in shown:
        truth, labels = expected(folder, model, name)
        np.testing.assert_array_equal(found_truth, truth)
        np.testing.assert_array_equal(predictions["zs3net"], labels)
