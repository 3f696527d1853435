import itertools
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import caches
from zeroshot.cache import index, rows

# Labels 0, 1, 2 and 65535 (unlabelled) of three shards, unsorted; class 1 is missing from the second shard.
LABELS = ([2, 0, 1, 0, 65535, 2, 0, 1, 1, 0, 2, 0], [0, 2, 65535, 0, 2, 0, 0, 2], [1, 0, 1, 2, 0, 1, 0, 1, 1])


def tables():
    return [caches.table(labels, seed=seed) for seed, labels in enumerate(LABELS)]


def joined(tables):
    return {name: np.concatenate([columns[name] for columns in tables]) for name in tables[0]}


def expected_sample(tables, per_class, seed):
    """Return the same sample, computed with all rows in memory; rows of a class are numbered across the shards."""
    parts = []
    everything = joined(tables)
    for label in range(len(caches.CLASSES)):
        candidates = np.flatnonzero(everything["label"] == label)
        size = min(per_class, len(candidates))
        chosen = candidates[np.sort(np.random.default_rng([seed, label]).choice(len(candidates), size, replace=False))]
        part = {
            name: everything[name][chosen] for name in ("features", "label", "image", "view", "component", "weight")
        }
        part["weight"] = part["weight"] * (everything["weight"][candidates].sum() / part["weight"].sum())
        parts.append(part)
    return joined(parts)


@pytest.mark.parametrize("labels", [LABELS[0], LABELS[0] * 100], ids=len)
def test_write_sorts_rows_by_class_and_keeps_their_order(tmp_path, labels):
    columns = caches.table(labels)
    rows.write(tmp_path / "s.h5", columns)
    # `sorted` is stable, so rows of one class stay in order.
    order = sorted(range(len(labels)), key=lambda row: labels[row])
    with h5py.File(tmp_path / "s.h5") as file:
        assert set(file) == {"features", *rows.COLUMNS}
        for name in file:
            np.testing.assert_array_equal(file[name][:], columns[name][order], err_msg=name)
            assert file[name].dtype == columns[name].dtype
            assert file[name].chunks is None and file[name].compression is None


def test_row_bytes_match_the_stored_columns(tmp_path):
    rows.write(tmp_path / "s.h5", caches.table([0, 1]))
    with h5py.File(tmp_path / "s.h5") as file:
        assert sum(file[name].nbytes for name in rows.COLUMNS) == 2 * rows.ROW_BYTES


def test_a_shard_without_rows_can_be_written_and_sampled(tmp_path):
    full = caches.table(LABELS[0])
    folder = caches.write_rows(tmp_path, [caches.table([]), full])
    np.testing.assert_array_equal(rows.sample(folder, 99, 0)["label"], sorted(full["label"])[:-1])


def test_bytes_of_a_shard_do_not_depend_on_its_name(tmp_path):
    for name in ("a.h5", "of_another_name.h5"):
        rows.write(tmp_path / name, caches.table(LABELS[0]))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "of_another_name.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "of_another_name.h5"]


def test_counts_match_the_labels(tmp_path):
    folder = caches.write_rows(tmp_path, tables())
    everything = list(itertools.chain(*LABELS))
    assert rows.counts(index.read(folder)).tolist() == [everything.count(label) for label in range(3)]


def test_counts_of_a_cache_without_shards_are_zero(tmp_path):
    assert rows.counts(index.read(caches.write_rows(tmp_path, []))).tolist() == [0, 0, 0]


@pytest.mark.parametrize("per_class", [1, 4, 9, 1000])
def test_sample_matches_one_computed_in_memory(tmp_path, per_class):
    folder = caches.write_rows(tmp_path, tables())
    sample, expected = rows.sample(folder, per_class, seed=5), expected_sample(tables(), per_class, seed=5)
    assert set(sample) == set(expected)
    for name in ("features", "label", "image"):
        np.testing.assert_array_equal(sample[name], expected[name])
        assert sample[name].dtype == expected[name].dtype
    np.testing.assert_allclose(sample["weight"], expected["weight"], rtol=1e-6)
    assert sample["weight"].dtype == np.float32


@settings(max_examples=25, deadline=None)
@given(
    labels=st.lists(st.lists(st.sampled_from([0, 1, 2, 65535]), max_size=12), min_size=1, max_size=4),
    per_class=st.integers(1, 6),
    seed=st.integers(0, 2**31 - 1),
)
def test_sample_of_any_cache(tmp_path_factory, labels, per_class, seed):
    """A sample has at most `per_class` different rows of each class, sorted by class; weights sum to those of all rows of the class."""
    tables = [caches.table(shard, seed=number) for number, shard in enumerate(labels)]
    everything = joined(tables)
    # The column `image` has the number of each row, so that repeated rows are detected.
    everything["image"] = np.arange(len(everything["label"]), dtype=np.int32)
    ends = np.cumsum([len(shard) for shard in labels])
    for columns, numbers in zip(tables, np.split(everything["image"], ends[:-1]), strict=True):
        columns["image"] = numbers
    folder = tmp_path_factory.mktemp("cache")
    try:
        caches.write_rows(folder, tables)
        if not (everything["label"] < 65535).any():
            with pytest.raises(index.ShardError, match="has no labelled row"):
                rows.sample(folder, per_class, seed)
            return
        sample = rows.sample(folder, per_class, seed)
    finally:
        shutil.rmtree(folder)
    assert len(set(sample["image"].tolist())) == len(sample["image"])
    np.testing.assert_array_equal(sample["label"], everything["label"][sample["image"]])
    np.testing.assert_array_equal(sample["features"], everything["features"][sample["image"]])
    for label in range(3):
        in_class = everything["label"] == label
        assert (sample["label"] == label).sum() == min(per_class, in_class.sum())
        total = sample["weight"][sample["label"] == label].sum(dtype=np.float64)
        np.testing.assert_allclose(total, everything["weight"][in_class].sum(dtype=np.float64), rtol=1e-5)
    assert (np.diff(sample["label"].astype(int)) >= 0).all()


@pytest.mark.parametrize("per_class", [1, 2, 100])
def test_ignored_pixels_are_sampled_on_request_as_one_more_class(tmp_path, per_class):
    folder = caches.write_rows(tmp_path, tables())
    labelled, both = rows.sample(folder, per_class, 3), rows.sample(folder, per_class, 3, ignored=True)
    n_labelled = len(labelled["label"])
    assert set(labelled["label"].tolist()) == {0, 1, 2}
    for name, column in labelled.items():
        np.testing.assert_array_equal(both[name][:n_labelled], column, err_msg=name)
    assert both["label"][n_labelled:].tolist() == [rows.UNLABELLED] * min(per_class, 2)
    everything = joined(tables())
    weights = everything["weight"][everything["label"] == rows.UNLABELLED]
    assert both["weight"][n_labelled:].sum() == pytest.approx(weights.sum())


def test_every_row_of_every_shard_is_sampled_about_equally_often(tmp_path):
    tables = [caches.table([1] * n, seed=n) for n in (2, 5, 3)]
    for columns, numbers in zip(tables, np.split(np.arange(10), [2, 7]), strict=True):
        columns["image"] = numbers.astype(np.int32)
    folder = caches.write_rows(tmp_path, tables)
    row_numbers = np.concatenate([rows.sample(folder, 4, seed)["image"] for seed in range(50)])
    # The count of each row is binomial with mean 20 and standard deviation sqrt(50 * 0.4 * 0.6) = 3.5.
    assert np.abs(np.bincount(row_numbers, minlength=10) - 20).max() < 4 * 3.5


def test_sample_depends_on_the_seed_only(tmp_path):
    folder = caches.write_rows(tmp_path, tables())
    first, again, other = (rows.sample(folder, 3, seed)["features"].tobytes() for seed in (1, 1, 2))
    assert first == again != other


def test_the_rows_of_a_class_do_not_depend_on_the_other_classes(tmp_path):
    tables_of_1 = [caches.table([1] * 6, seed=1), caches.table([1] * 7, seed=2)]
    other_tables = [caches.table([0, 2, 65535, 2, 0], seed=3), caches.table([2] * 9, seed=4)]
    single = caches.write_rows(tmp_path / "single", tables_of_1)
    pairs = zip(other_tables, tables_of_1, strict=True)
    mixed = caches.write_rows(tmp_path / "mixed", [joined(pair) for pair in pairs])
    expected, sample = rows.sample(single, 5, 0), rows.sample(mixed, 5, 0)
    for name in expected:
        np.testing.assert_array_equal(sample[name][sample["label"] == 1], expected[name])


def test_maps_unlabelled_rows_and_empty_caches_are_refused(tmp_path):
    with pytest.raises(index.ShardError, match="maps: holds maps, but rows are needed"):
        rows.sample(caches.write_maps(tmp_path / "maps", [[caches.scene("a", 2, 3)]]), 1, 0)
    with pytest.raises(index.ShardError, match="unlabelled: has no labelled row"):
        rows.sample(caches.write_rows(tmp_path / "unlabelled", [caches.table([65535, 65535])]), 1, 0)
    with pytest.raises(index.ShardError, match="empty: has no labelled row"):
        rows.sample(caches.write_rows(tmp_path / "empty", []), 1, 0)


def test_an_altered_shard_is_refused_before_its_rows_are_used(tmp_path):
    folder = caches.write_rows(tmp_path, tables())
    path = folder / "shard-00002.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(index.ShardError, match="shard-00002.h5: altered since it was written"):
        rows.sample(folder, 1, 0)


def peak_of_sample(folder, per_class):
    """Return the peak memory of sampling and the size of the sample, in bytes."""
    tracemalloc.start()
    try:
        sample = rows.sample(folder, per_class, 0)
        return tracemalloc.get_traced_memory()[1], sum(column.nbytes for column in sample.values())
    finally:
        tracemalloc.stop()


def test_peak_memory_does_not_depend_on_the_size_of_the_cache(tmp_path):
    dim, n = 256, 1500
    shard = caches.table(np.repeat([0, 1], n), dim)
    bytes_of_class = n * dim * 2
    small = caches.write_rows(tmp_path / "small", [shard], dim)
    large = caches.write_rows(tmp_path / "large", [shard] * 8, dim)
    rows.sample(small, 1, 0)  # Modules that are imported on first use must not count.
    # The buffer of the checksum takes 256 KiB; 64 KiB are for indices and names.
    for folder, per_class in ((small, n), (large, 10), (large, n), (large, 4 * n)):
        peak, bytes_of_sample = peak_of_sample(folder, per_class)
        assert peak < bytes_of_sample + 2 * bytes_of_class + 2**18 + 2**16, (folder, per_class)


def test_presence_marks_the_classes_of_each_image(tmp_path):
    tables = [caches.table([0, 2, 2, 65535], seed=1), caches.table([1, 65535], seed=2)]
    folder = caches.write_rows(tmp_path, tables)
    expected = np.zeros((3, len(caches.CLASSES)), bool)
    for table in tables:
        for image, label in zip(table["image"], table["label"], strict=True):
            if label != rows.UNLABELLED:
                expected[image, label] = True
    np.testing.assert_array_equal(rows.presence(folder), expected)


def test_presence_is_read_from_the_index_only(tmp_path, monkeypatch):
    folder = caches.write_rows(tmp_path, tables())
    expected = rows.presence(folder)
    assert expected.any()
    monkeypatch.setattr(h5py, "File", None)
    np.testing.assert_array_equal(rows.presence(folder), expected)


def test_presence_of_rows_without_labels_is_refused(tmp_path):
    folder = caches.write_rows(tmp_path / "unlabelled", [caches.table([65535, 65535])])
    with pytest.raises(index.ShardError, match="unlabelled: the index has no list of the classes of each image"):
        rows.presence(folder)
