import fcntl

import h5py
import numpy as np
import pytest

from zeroshot.base import hdf5


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rows"] = np.arange(6).reshape(3, 2)
        file["rows"].attrs["made"] = "for a test"
        file.create_group("2")["label"] = [7, 8]
    return tmp_path / "a.h5"


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_datasets_are_read_by_name_and_in_parts(path, kind):
    with hdf5.reading(kind(path)) as file:
        rows = file["rows"]
        assert rows.shape == (3, 2) and len(rows) == 3 and rows.attrs["made"] == "for a test"
        np.testing.assert_array_equal(rows[1:], [[2, 3], [4, 5]])
        assert file["2/label"][:].tolist() == [7, 8]


def test_locked_file_can_be_read(path):
    with open(path, "rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError), h5py.File(path, "r", locking=True):
            pass
        with hdf5.reading(path) as file:
            assert len(file["rows"]) == 3


def test_missing_file_and_other_format_are_refused_with_a_remedy(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    for name, fault in (("missing.h5", "No such file"), ("text.h5", "file signature not found")):
        with (
            pytest.raises(hdf5.HDF5Error, match=f"{name}: .*{fault}.*; `dvc repro` restores it"),
            hdf5.reading(tmp_path / name),
        ):
            pass


def test_missing_dataset_is_named_with_the_file(path):
    with pytest.raises(hdf5.HDF5Error, match="a.h5: .*'columns'"), hdf5.reading(path) as file:
        assert not len(file["columns"])
