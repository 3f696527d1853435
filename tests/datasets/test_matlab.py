import struct
import tracemalloc

import numpy as np
import pytest
import scipy.io

from tests.support import voc_tree
from zeroshot.datasets import matlab
from zeroshot.images import image_files


def test_sbd_mask_is_the_field_segmentation(tmp_path):
    voc_tree.add_sbd(tmp_path, {"x": (0, 1, 2, 3, 0, 0, 0, 0)})
    read = matlab.read_sbd_mask(tmp_path / "benchmark_RELEASE/dataset/cls/x.mat")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, voc_tree.mask((0, 1, 2, 3, 0, 0, 0, 0)))


@pytest.mark.parametrize(
    "content",
    [
        {"GTcls": [1, 2]},
        {"GTcls": {"Boundaries": [1]}},
        {"GTcls": {"Segmentation": np.zeros((2, 2))}},
    ],
)
def test_file_without_the_matrix_is_refused(tmp_path, content):
    scipy.io.savemat(tmp_path / "x.mat", content)
    with pytest.raises(
        image_files.ImageError, match=r"x\.mat: contains no two-dimensional uint8 matrix GTcls\.Segmentation"
    ):
        matlab.read_sbd_mask(tmp_path / "x.mat")


def test_broken_missing_and_huge_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(image_files.ImageError, match=r"none\.mat: No such file"):
        matlab.read_sbd_mask(tmp_path / "none.mat")
    (tmp_path / "x.mat").write_bytes(b"MATLAB?" * 40)
    with pytest.raises(image_files.ImageError, match=r"x\.mat: cannot be decoded"):
        matlab.read_sbd_mask(tmp_path / "x.mat")
    monkeypatch.setattr(matlab, "MAX_BYTES", 100)
    with pytest.raises(image_files.ImageError, match=r"x\.mat: has 280 bytes; masks above 100 are refused"):
        matlab.read_sbd_mask(tmp_path / "x.mat")


@pytest.mark.parametrize("name", ["GTcls", "other"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_small_file_that_unpacks_to_a_huge_one_is_refused_before_it_does(tmp_path, name, order):
    """The variable may be the one that is read or another one, and the file may come from a machine of either byte order."""
    mask = np.zeros((8000, 8000), np.uint8)
    scipy.io.savemat(tmp_path / "x.mat", {name: {"Segmentation": mask}}, do_compression=True)
    if order == ">":
        content = bytearray((tmp_path / "x.mat").read_bytes())
        content[124:128] = content[125:123:-1] + b"MI"
        content[128:136] = struct.pack(">II", *struct.unpack("<II", content[128:136]))
        (tmp_path / "x.mat").write_bytes(content)
    assert (tmp_path / "x.mat").stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(image_files.ImageError, match=r"x\.mat: has more than 16,777,216 bytes after decompression"):
            matlab.read_sbd_mask(tmp_path / "x.mat")
        assert tracemalloc.get_traced_memory()[1] < 3 * matlab.MAX_UNPACKED
    finally:
        tracemalloc.stop()


def test_all_variables_count(tmp_path, monkeypatch):
    """Compressed, each is below the limit."""
    masks = {name: np.zeros((30, 40), np.uint8) for name in ("one", "two")}
    scipy.io.savemat(tmp_path / "x.mat", {"GTcls": {"Segmentation": masks["one"]}, **masks}, do_compression=True)
    for limit, is_read in ((5000, True), (3000, False)):
        monkeypatch.setattr(matlab, "MAX_UNPACKED", limit)
        if is_read:
            assert matlab.read_sbd_mask(tmp_path / "x.mat").shape == (30, 40)
        else:
            with pytest.raises(image_files.ImageError, match="more than 3,000 bytes after decompression"):
                matlab.read_sbd_mask(tmp_path / "x.mat")
