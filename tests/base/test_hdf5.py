import errno
import fcntl
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.support import small_disk as disks
from zeroshot.base import hdf5

small_disk = disks.small_disk


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


@pytest.mark.parametrize("signature", [b"SNOD", b"TREE", b"HEAP"])
def test_damage_in_the_list_of_datasets_is_named_with_the_file(path, signature):
    content = path.read_bytes()
    assert signature in content
    path.write_bytes(content.replace(signature, b"XXXX"))
    with (
        pytest.raises(hdf5.HDF5Error, match="a.h5: is damaged, .*; `dvc repro` restores it"),
        hdf5.reading(path) as file,
    ):
        assert not {name: file[name] for name in file}


def test_missing_dataset_is_named_with_the_file(path):
    with pytest.raises(hdf5.HDF5Error, match="a.h5: .*'columns'"), hdf5.reading(path) as file:
        assert not len(file["columns"])


def fill(file, n):
    file.create_dataset("features", data=np.arange(256 * n, dtype=np.float16).reshape(n, 256), track_times=False)
    for name in ("label", "image", "view", "weight", "x", "y", "a", "b"):
        file.create_dataset(name, data=np.arange(n, dtype=np.int32), track_times=False)
    file.create_group("2").create_dataset("x", data=[1, 2], track_times=False)


@pytest.mark.parametrize("n", [0, 1, 300, 9000])
def test_written_file_has_the_bytes_of_h5py(tmp_path, n):
    with hdf5.writing(tmp_path / "ours.h5") as file:
        fill(file, n)
        assert not (tmp_path / "ours.h5").exists()
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        fill(file, n)
    assert (tmp_path / "ours.h5").read_bytes() == (tmp_path / "theirs.h5").read_bytes()


def test_a_failing_writer_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), hdf5.writing(tmp_path / "a.h5") as file:
        file["a"] = [1, 2]
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n", [1924, 4000])
def test_a_full_disk_is_an_error_and_not_a_segmentation_fault(small_disk, n):
    """With 1924 rows only the last bytes do not fit; h5py writes them when it closes the file."""
    code = (
        "import sys; from tests.base import test_hdf5; from zeroshot.base import hdf5\n"
        "try:\n    with hdf5.writing(sys.argv[1]) as file: test_hdf5.fill(file, int(sys.argv[2]))\n"
        "except OSError as error: print(error.errno)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, small_disk / "a.h5", str(n)], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, f"{errno.ENOSPC}\n", "")
