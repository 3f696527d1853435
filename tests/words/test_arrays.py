import io
import math
import os
import pathlib
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from zeroshot.words import arrays

MATRIX = np.array([[1.0, -2.5, 3e-7], [0.0, 4.0, 5.0]])


def write(path, kind):
    if kind == "npy":
        np.save(path, MATRIX)
    elif kind == "npz":
        np.savez(path, vectors=MATRIX)
    elif kind == "pkl":
        path.write_bytes(pickle.dumps(MATRIX))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(MATRIX, protocol=0))
    elif kind == "txt":
        np.savetxt(path, MATRIX, header="two rows")
    elif kind == "csv":
        np.savetxt(path, MATRIX, delimiter=",")


@pytest.mark.parametrize("kind", ["npy", "npz", "pkl", "pickle", "txt", "csv"])
def test_every_format_gives_the_same_array(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    write(path, kind)
    np.testing.assert_array_equal(arrays.read(path), MATRIX)


def test_content_decides_the_format_and_not_the_suffix(tmp_path):
    write(tmp_path / "a.npy", "npy")
    (tmp_path / "a.npy").rename(tmp_path / "a.pkl")
    np.testing.assert_array_equal(arrays.read(tmp_path / "a.pkl"), MATRIX)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.npy", b"\x93NUMPY\x01\x00", "is not a readable .npy file"),
        ("a.npz", b"PK\x03\x04rest", "is not a readable .npz file"),
        ("a.txt", b"1 2\n3 x\n", "not a text table of numbers"),
        ("a.txt", b"1 2\n3\n", "not a text table of numbers"),
        ("a.txt", b"\xff\xfe\xfa", "not a text table of numbers"),
        ("a.pkl", pickle.dumps([1.0, 2.0]), "must be a pickled ndarray; found list"),
    ],
)
def test_damaged_files_are_named_with_the_fault(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(arrays.ArrayError, match=message) as error:
        arrays.read(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "text",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (2L, \n",
        b'{"descr": """<f8\n',
        b"  {}\n {}\n",
        b"{'descr': ('<f8',), 'fortran_order': False, 'shape': (2, 2), }\n",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (2.5,), }\n",
        b"{'descr': {'names': 3}, 'fortran_order': False, 'shape': (2,), }\n",
        b"(" * 9000 + b"\n",
        b"\xff\n",
        b"",
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_foreign_headers_give_the_file_the_cause_and_the_remedy(tmp_path, text, suffix):
    path = tmp_path / f"a.{suffix}"
    content = header(text) + bytes(32)
    if suffix == "npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", content)
    with pytest.raises(arrays.ArrayError) as caught:
        arrays.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: is not a readable .{suffix} file of numbers (") and "\n" not in message
    assert message.endswith("); save the array again with numpy.save")


@pytest.mark.parametrize("content", ["0,1 0,2\n", "1\t2\n0,1\t0,2\n", "-0,1;2\n", "1, 2 3\n", "1,000.5 2,000.5\n"])
def test_decimal_commas_and_mixed_separators_are_refused(tmp_path, content):
    (tmp_path / "a.txt").write_text("# a, b c\n" + content)
    line = 1 + content.count("\n")
    with pytest.raises(
        arrays.ArrayError, match=rf"a\.txt: line {line} separates numbers .*decimal points \(0\.1, not 0,1\)"
    ):
        arrays.read(tmp_path / "a.txt")


@pytest.mark.parametrize("content", ["1,2\n3,4\n", "1, 2\n 3 ,4 \n", "1 2 # a, b\n3\t4\n", "1,2,\n3,4,\n"])
def test_white_space_or_commas_separate_numbers(tmp_path, content):
    (tmp_path / "a.txt").write_text(content)
    np.testing.assert_array_equal(arrays.read(tmp_path / "a.txt"), [[1, 2], [3, 4]])


def test_python_objects_are_refused(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", objects)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(arrays.ArrayError, match=name):
            arrays.read(tmp_path / name)


def test_arrays_of_strings_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array(["cat"]))
    with pytest.raises(arrays.ArrayError, match="only numbers are read"):
        arrays.read(tmp_path / "a.npy")


def test_npz_with_several_arrays_is_refused_and_lists_them(tmp_path):
    np.savez(tmp_path / "a.npz", seen=MATRIX, unseen=MATRIX)
    with pytest.raises(arrays.ArrayError, match="exactly one array; found seen, unseen"):
        arrays.read(tmp_path / "a.npz")


def test_forged_header_is_refused_before_memory_is_allocated(tmp_path):
    with open(tmp_path / "a.npy", "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(arrays.ArrayError, match=r"a\.npy: is not a readable \.npy file"):
        arrays.read(tmp_path / "a.npy")


def write_bomb(path, shape):
    """Write an .npz of some kB that holds zeros of a larger size."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", header.getvalue() + bytes(100_000))


@pytest.mark.parametrize("shape", [(2**40, 2), (34_000_000,)])
def test_compressed_array_that_is_too_large_is_refused_by_its_header(tmp_path, shape):
    write_bomb(tmp_path / "a.npz", shape)
    tracemalloc.start()
    try:
        with pytest.raises(arrays.ArrayError) as caught:
            arrays.read(tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    n_bytes = 8 * math.prod(shape)
    assert str(caught.value) == (
        f"{tmp_path}/a.npz: its array of shape {shape} has {n_bytes:,} bytes; at most 268,435,456 are read"
    )


@pytest.mark.parametrize("kind", ["npy", "npz", "pkl", "txt"])
def test_file_above_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch, kind):
    write(tmp_path / f"a.{kind}", kind)
    size = (tmp_path / f"a.{kind}").stat().st_size
    monkeypatch.setattr(arrays, "MAX_BYTES", size)
    np.testing.assert_array_equal(arrays.read(tmp_path / f"a.{kind}"), MATRIX)
    monkeypatch.setattr(arrays, "MAX_BYTES", size - 1)
    with pytest.raises(arrays.ArrayError, match=f"a.{kind}: has {size} bytes.*set embeddings.source: vectors"):
        arrays.read(tmp_path / f"a.{kind}")


def test_text_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "a.txt").write_text("1 2\n3 4\n", encoding="utf-8-sig")
    np.testing.assert_array_equal(arrays.read(tmp_path / "a.txt"), [[1, 2], [3, 4]])


@pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="ZS3_DATA is not set to the folder of real data")
def test_released_class_vectors_are_read():
    folder = pathlib.Path(os.environ["ZS3_DATA"]) / "embeddings" / "ZS3"
    voc = arrays.read(folder / "pascal_w2v300.pkl")
    assert voc.shape == (21, 300) and voc.dtype == np.float32
    norms = np.linalg.norm(voc, axis=1)
    assert 0.67 < norms.min() < norms.max() < 1.0001
    assert arrays.read(folder / "pascalcontext_class_w2c.npy").shape == (60, 300)
