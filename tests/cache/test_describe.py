import re

import numpy as np
import pytest

from tests.support import caches
from zeroshot.cache import describe, index


def line_of(report, name):
    """Return the numbers on the line of a class in a report."""
    (line,) = [line for line in report.splitlines() if line.startswith(f"  {name} ")]
    return [float(number) for number in line.removeprefix(f"  {name}").replace("%", "").split()]


def expected(features):
    """Return the numbers on the line of a class, computed with NumPy from all its features."""
    values = np.concatenate(features).astype(np.float64)
    dead = (values == 0).all(axis=0).sum()
    return [len(values), values.mean(), values.std(), values.max(), 100 * (values != 0).mean(), dead]


def assert_close(printed, values):
    """Check each printed number against its value, up to half a unit of its last printed digit."""
    for number, value, half_unit in zip(printed, values, (0, 5e-4, 5e-4, 5e-3, 5e-2, 0), strict=True):
        assert abs(number - value) <= half_unit * 1.01


def test_statistics_of_rows_match_numpy(tmp_path):
    tables = [
        caches.table(labels, dim=6, seed=seed) for seed, labels in enumerate([[2, 0, 65535, 0, 1], [0, 1, 1], [65535]])
    ]
    report = describe.describe(caches.write_rows(tmp_path, tables, dim=6))
    for label, name in [*enumerate(caches.CLASSES), (65535, "(no label)")]:
        features = [columns["features"][columns["label"] == label] for columns in tables]
        assert_close(line_of(report, name), expected(features))


def test_first_lines_describe_the_cache(tmp_path):
    folder = caches.write_rows(
        tmp_path / "train", [caches.table([0] * 9, dim=256), caches.table([1] * 5, dim=256)], 256
    )
    n_bytes = sum(path.stat().st_size for path in folder.glob("*.h5"))
    assert describe.describe(folder).splitlines()[:2] == [
        f"{folder}: rows, 2 shards, {n_bytes / 1048576:.1f} MiB, 3 images, 14 features of 256 float16",
        "  made: for a test",
    ]


def test_statistics_of_maps_match_numpy(tmp_path):
    shards = [[caches.scene("a", 3, 5, seed=1), caches.scene("b", 2, 2, seed=2)], [caches.scene("c", 4, 1, seed=3)]]
    report = describe.describe(caches.write_maps(tmp_path, shards))
    values = [features.reshape(-1, 4) for shard in shards for _, features, _ in shard]
    assert_close(line_of(report, "all"), expected(values))
    assert (
        "maps, 2 shards" in report and "3 images, 23 features of 4 float16" in report and "without rows" not in report
    )


def test_report_lists_classes_without_rows_and_always_zero_features(tmp_path):
    tables = [caches.table([0] * 50, seed=1), caches.table([2] * 50 + [0] * 50, seed=2)]
    tables[0]["features"][:, 3] = 0  # Non-zero in the second shard.
    tables[1]["features"][:50, 1:3] = 0
    report = describe.describe(caches.write_rows(tmp_path, tables)).splitlines()
    assert report[-1] == "  classes without rows (expected for unseen classes only): cow"
    assert [line_of("\n".join(report), name)[-1] for name in ("background", "dog")] == [0, 2]
    assert not any(line.startswith("  cow") for line in report)


def test_report_on_an_unlabelled_cache_lists_no_classes(tmp_path):
    report = describe.describe(caches.write_rows(tmp_path, [caches.table([65535] * 50)]))
    assert "without rows" not in report and not any(name in report for name in caches.CLASSES)
    assert line_of(report, "(no label)")[0] == 50


def test_report_on_an_empty_cache(tmp_path):
    report = describe.describe(caches.write_rows(tmp_path, []))
    assert "0 shards, 0.0 MiB, 3 images, 0 features" in report and "without rows" not in report


def test_squares_beyond_the_range_of_float16_do_not_overflow(tmp_path):
    table = caches.table([0] * 1000)
    table["features"][:] = 4096
    assert_close(
        line_of(describe.describe(caches.write_rows(tmp_path, [table])), "background"), [1000, 4096, 0, 4096, 100, 0]
    )


def test_an_altered_shard_is_refused(tmp_path):
    folder = caches.write_rows(tmp_path, [caches.table([0, 1, 2])])
    path = folder / "shard-00000.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(index.ShardError, match=f"{re.escape(str(path))}: altered"):
        describe.describe(folder)
