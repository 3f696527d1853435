"""Shards in both number formats, read by all that reads a cache."""

import re

import h5py
import numpy as np
import pytest

from tests.support import caches
from zeroshot.base import hdf5
from zeroshot.cache import describe, index, maps, rows, stored_features
from zeroshot.figures import shard_contents

DIM = 4


def drawn(n, seed=0):
    """Return features (n, DIM) float16, one dimension of which is always zero, and the largest magnitude of the others."""
    features = np.random.default_rng(seed).normal(size=(n, DIM)) * [1, 0.01, 30, 0]
    return features.astype(np.float16)


def stored(path, features, storage):
    with hdf5.writing(path) as file:
        stored_features.write(file, features, storage)
    return path


def half_steps(features):
    """Return the largest error (DIM,) of codes: half a step, and the rounding of float16."""
    largest = abs(features).max(axis=0).astype(np.float32)
    return largest / 127 / 2 + largest * 2.0**-11 + 1e-12


# More rows than are converted together.
@pytest.mark.parametrize("n", [1, 5000, 9000])
def test_codes_are_the_nearest_steps_and_are_read_in_parts(tmp_path, n):
    features = drawn(n)
    with hdf5.reading(stored(tmp_path / "int8.h5", features, "int8")) as file:
        assert stored_features.storage_of(file) == "int8"
        back = stored_features.read(file)
        part = slice(n // 3, n - n // 4)
        np.testing.assert_array_equal(stored_features.read(file, part), back[part])
        target = np.full((n + 2, DIM), np.nan, np.float16)
        stored_features.read_into(file, part, target[1 : 1 + part.stop - part.start])
        np.testing.assert_array_equal(target[1 : 1 + part.stop - part.start], back[part])
        assert np.isnan(target[[0, -1]]).all()
    assert back.dtype == np.float16
    assert (abs(back.astype(np.float32) - features.astype(np.float32)) <= half_steps(features)).all()
    assert (back[:, 3] == 0).all()
    # The largest magnitude has the largest code, so it stays as it was.
    np.testing.assert_allclose(abs(back).max(axis=0), abs(features).max(axis=0), rtol=1e-3)


def test_float16_is_stored_as_it_is(tmp_path):
    features = drawn(50)
    path = stored(tmp_path / "float16.h5", features, "float16")
    with hdf5.reading(path) as file:
        assert stored_features.storage_of(file) == "float16"
        np.testing.assert_array_equal(stored_features.read(file, slice(7, 20)), features[7:20])
        target = np.empty((13, DIM), np.float16)
        stored_features.read_into(file, slice(7, 20), target)
        np.testing.assert_array_equal(target, features[7:20])
    with h5py.File(path) as file:
        assert list(file) == ["features"]


def test_the_step_of_a_dimension_is_its_largest_magnitude_in_127_parts(tmp_path):
    features = np.array([[2, 0, -254], [-1, 0, 5]], np.float16)
    path = stored(tmp_path / "int8.h5", features, "int8")
    with h5py.File(path) as file:
        # No reader that knows float16 alone finds codes in the place of features.
        assert sorted(file) == ["codes", "step"]
        np.testing.assert_allclose(file["step"][:], [2 / 127, 1, 2], rtol=1e-6)
        # -1 is -63.5 steps and 5 is 2.5 steps, between two codes.
        np.testing.assert_array_equal(file["codes"][:, 1:], [[0, -127], [0, 2]])
        assert file["codes"][:, 0].tolist() in ([127, -63], [127, -64])


def test_a_shard_without_rows_can_be_stored(tmp_path):
    with hdf5.reading(stored(tmp_path / "none.h5", np.zeros((0, DIM), np.float16), "int8")) as file:
        assert stored_features.read(file).shape == (0, DIM)


@pytest.fixture
def both(tmp_path):
    """Return a folder with a cache of rows and one of maps in each number format, of the same features."""
    table, (_, features, mask) = caches.table([2, 0, 1, 1, 65535] * 40), caches.scene("a", 9, 7)
    for storage in ("float16", "int8"):
        for name in ("rows", "maps"):
            path = tmp_path / storage / name / "shard-00000.h5"
            path.parent.mkdir(parents=True)
            if name == "rows":
                rows.write(path, table, storage)
            else:
                maps.write(path, [0], [features], [mask], storage)
            n_classes = len(caches.CLASSES)
            presence = index.presence([path], 3) if name == "rows" else None
            images = ["a", "b", "c"] if name == "rows" else ["a"]
            entry = index.entry(path, name, n_classes)
            index.write(path.parent, index.Index(name, DIM, 4, caches.CLASSES, images, [entry], {}, presence=presence))
    return tmp_path


def close(first, second):
    """Return whether features are those of the other format but for a step; the largest of all are below 5."""
    return abs(first.astype(np.float32) - second.astype(np.float32)).max() <= 5 / 127 / 2 and (first != second).any()


def test_every_reader_reads_both_formats(both):
    (exact,), (rounded,) = (rows.read(both / storage / "rows") for storage in ("float16", "int8"))
    assert close(exact["features"], rounded["features"])
    assert all(np.array_equal(exact[name], rounded[name]) for name in rows.COLUMNS)
    # All rows of a class, and some of them.
    for per_class in (1000, 11):
        exact, rounded = (rows.sample(both / storage / "rows", per_class, seed=3) for storage in ("float16", "int8"))
        assert close(exact["features"], rounded["features"])
        assert np.array_equal(exact["label"], rounded["label"])
    (exact,), (rounded,) = (maps.read(both / storage / "maps") for storage in ("float16", "int8"))
    assert close(exact.features, rounded.features) and np.array_equal(exact.mask, rounded.mask)
    for name in ("rows", "maps"):
        contents = [
            shard_contents.Contents(shard_contents.select(both / storage / name, "cow", ""))
            for storage in ("float16", "int8")
        ]
        assert close(contents[0].features, contents[1].features)
        assert contents[0].counts == contents[1].counts
        means = [
            float(re.search(r"(?m)^  (?:all|cow) +\d+ +([\d.]+)", describe.describe(both / storage / name))[1])
            for storage in ("float16", "int8")
        ]
        assert means == pytest.approx([means[0]] * 2, abs=0.01) and means[0] > 0.2
        sizes = [index.read(both / storage / name).shards[0]["bytes"] for storage in ("float16", "int8")]
        assert sizes[1] < sizes[0]
        assert "features of 4 int8" in describe.describe(both / "int8" / name)
        assert "features of 4 float16" in describe.describe(both / "float16" / name)
