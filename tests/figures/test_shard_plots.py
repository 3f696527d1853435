import dataclasses

import numpy as np
import pytest

from tests.support import caches
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.figures import shard_contents, shard_plots
from zeroshot.images import grids


def contents(folder, class_name="", image=""):
    return shard_contents.Contents(shard_contents.select(folder, class_name, image))


def test_principal_components_are_those_of_a_singular_value_decomposition():
    features = np.random.default_rng(0).normal(size=(6, 5, 8)) * np.arange(1, 9)
    picture, share = shard_plots.principal_components(features)
    centred = features.reshape(30, 8) - features.reshape(30, 8).mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    assert share == pytest.approx((s[:3] ** 2).sum() / (s**2).sum())
    for component in range(3):
        correlation = np.corrcoef(picture[..., component].ravel(), u[:, component])[0, 1]
        assert abs(correlation) > 0.99
    np.testing.assert_array_equal(shard_plots.principal_components(features + 3)[0], picture)


@pytest.mark.parametrize("d", [1, 3])
def test_features_of_few_channels_have_components_too(d):
    picture, share = shard_plots.principal_components(np.random.default_rng(0).random((3, 4, d)))
    assert picture.shape == (3, 4, 3) and share == pytest.approx(1)
    assert (shard_plots.principal_components(np.ones((3, 4, d)))[0] == 0).all()


def test_the_spectrum_of_a_class_falls():
    features = np.random.default_rng(0).random((40, 6)) * [3, 1, 5, 2, 6, 4]
    means, low, high = shard_plots._spectrum(features.astype(np.float16))
    np.testing.assert_allclose(means, np.sort(features.mean(axis=0))[::-1], rtol=1e-2)
    order = [4, 2, 5, 0, 3, 1]
    np.testing.assert_allclose(low, np.percentile(features, 25, axis=0)[order], rtol=1e-2)
    np.testing.assert_allclose(high, np.percentile(features, 75, axis=0)[order], rtol=1e-2)


@pytest.mark.parametrize("labelled", [True, False])
def test_positions_of_views_are_on_the_same_photograph(tmp_path, labelled):
    """Positions of labelled rows are on the map of their view, here of twice the size and mirrored; others on the unchanged image's."""
    table = caches.table([1, 1]) | {
        "image": np.array([0, 0], np.int32),
        "view": np.array([0, 3], np.uint8),
        "position": np.array([[2, 5], [3, 1]], np.uint16),
    }
    caches.write_rows(tmp_path, [table])
    settings = (
        {"scales": [1.0, 2.0], "flip": True} if labelled else {"unlabelled_views": {"scales": [2.0], "flip": True}}
    )
    index.write(tmp_path, dataclasses.replace(index.read(tmp_path), provenance={"features": settings}))
    points = shard_plots._on_photograph(contents(tmp_path, image="a"), (40, 48))
    small, large = grids.centres(48, 4), grids.centres(96, 4)
    np.testing.assert_allclose(points[0], [small[5], grids.centres(40, 4)[2]])
    if labelled:
        mirrored_x, y = 95 - large[1], grids.centres(80, 4)[3]
        np.testing.assert_allclose(points[1], [(mirrored_x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5])
    else:
        np.testing.assert_allclose(points[1], [small[1], grids.centres(40, 4)[3]])


def test_the_features_kept_are_evenly_spaced(tmp_path, monkeypatch):
    tables = [caches.table([1] * n, seed=n) for n in (5, 6, 7)]
    caches.write_rows(tmp_path, tables)
    everything = np.concatenate([table["features"] for table in tables])
    np.testing.assert_array_equal(contents(tmp_path, "cow").features, everything)
    monkeypatch.setattr(shard_contents, "MOST_FEATURES", 6)
    np.testing.assert_array_equal(contents(tmp_path, "cow").features, everything[::4])
    np.testing.assert_allclose(
        contents(tmp_path, "cow").norms, np.linalg.norm(everything.astype(np.float32), axis=1), rtol=1e-6
    )


@pytest.mark.parametrize("margin", [0, 3])
def test_a_map_lies_on_the_photograph_without_its_margin(tmp_path, margin):
    image, features, mask = caches.scene("a", 3, 4)
    caches.write_maps(tmp_path, [[(image, features, mask)]])
    index.write(tmp_path, dataclasses.replace(index.read(tmp_path), margin=margin))
    (item,) = maps.read(tmp_path)
    height, width = (side - 2 * margin for side in mask.shape)
    split = splits.Split(tuple(caches.CLASSES), (0, 1), (2,), "images", (), (), ())
    photograph = np.zeros((height, width, 3), np.uint8)
    figure = shard_plots.map_figure(contents(tmp_path, image="a"), item, photograph, split)
    _, truth, components = figure.axes
    assert truth.images[0].get_array().shape[:2] == (height, width)
    # Cells of 4 pixels, of which the first begins `margin` pixels before the image.
    start = -margin - 0.5
    assert components.images[0].get_extent() == [start, start + 16, start + 12, start]
    assert components.get_xlim() == (-0.5, width - 0.5) and components.get_ylim() == (height - 0.5, -0.5)
