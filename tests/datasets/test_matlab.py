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
    with pytest.raises(image_files.ImageError, match=r"none\.mat: no such file"):
        matlab.read_sbd_mask(tmp_path / "none.mat")
    (tmp_path / "x.mat").write_bytes(b"MATLAB?" * 40)
    with pytest.raises(image_files.ImageError, match=r"x\.mat: cannot be decoded"):
        matlab.read_sbd_mask(tmp_path / "x.mat")
    monkeypatch.setattr(matlab, "MAX_BYTES", 100)
    with pytest.raises(image_files.ImageError, match=r"x\.mat: has 280 bytes; masks above 100 are refused"):
        matlab.read_sbd_mask(tmp_path / "x.mat")


def test_matrix_above_the_pixel_limit_is_refused(tmp_path, monkeypatch):
    scipy.io.savemat(tmp_path / "x.mat", {"GTcls": {"Segmentation": np.zeros((5, 5), dtype=np.uint8)}})
    monkeypatch.setattr(image_files, "MAX_PIXELS", 24)
    with pytest.raises(image_files.ImageError, match="contains 25 pixels; more than 24 are refused"):
        matlab.read_sbd_mask(tmp_path / "x.mat")
