import numpy as np
import pytest

from benchmarks import int8_cache
from tests.support import caches
from zeroshot.cache import index, maps, rows

STEP = np.array([0.25, 0.25, 0.01, 1], np.float32)


@pytest.fixture
def folder(tmp_path):
    caches.write_rows(tmp_path / "train", [caches.table([0, 1, 1]), caches.table([2, 0], seed=1)])
    caches.write_maps(tmp_path / "val", [[caches.scene("a", 3, 4)], [caches.scene("b", 2, 2, seed=1)]])
    for name in ("train", "val"):
        int8_cache.rounded_copy(tmp_path / name, tmp_path / "int8" / name, STEP)
    return tmp_path


def check(before, after):
    """Check that features are multiples of the steps, of at most 127, and next to those before."""
    codes = after.astype(np.float32) / STEP
    np.testing.assert_allclose(codes, codes.round(), atol=0.05)
    limits = 127 * STEP
    expected = np.clip(before.astype(np.float32), -limits, limits)
    assert (abs(after.astype(np.float32) - expected) < 0.55 * STEP).all()


def test_a_copy_has_rounded_features_and_all_else_as_before(folder):
    for before, after in zip(rows.read(folder / "train"), rows.read(folder / "int8/train"), strict=True):
        check(before["features"], after["features"])
        assert all(np.array_equal(before[name], after[name]) for name in rows.COLUMNS)
    for before, after in zip(maps.read(folder / "val"), maps.read(folder / "int8/val"), strict=True):
        check(before.features, after.features)
        assert before.image == after.image and np.array_equal(before.mask, after.mask)
    assert sorted(path.name for path in (folder / "int8").iterdir()) == ["train", "val"]
    assert index.read(folder / "int8/train").images == index.read(folder / "train").images
