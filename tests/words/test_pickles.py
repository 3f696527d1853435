import os
import pathlib
import pickle

import numpy as np
import pytest

from zeroshot.words import pickles


class Bomb:
    def __init__(self, target: pathlib.Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def dump(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">f8").reshape(3, 2),
        np.arange(24, dtype=np.int64).reshape(2, 3, 4).transpose(1, 2, 0),
        np.zeros((0, 3)),
        np.array([True, False]),
    ],
)
def test_arrays_of_numbers_are_read_unchanged(tmp_path, array, protocol):
    value = pickles.read(dump(tmp_path / "a.pkl", {"a": [array]}, protocol))["a"][0].value
    np.testing.assert_array_equal(value, array)
    assert value.dtype == array.dtype


def test_array_written_by_python_2_and_old_numpy_is_read(tmp_path):
    # In protocol 2 of Python 2, the dtype code and the bytes are SHORT_BINSTRINGs.
    path = tmp_path / "py2.pkl"
    data = np.array([[1.5, -2.0]], dtype="<f4").tobytes()
    path.write_bytes(
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01K\x02\x86"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
        + data
        + b"tb."
    )
    np.testing.assert_array_equal(pickles.read(path).value, [[1.5, -2.0]])


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_with_its_name_and_not_run(tmp_path, protocol):
    target = tmp_path / "made by the pickle"
    path = dump(tmp_path / "bomb.pkl", [np.zeros(2), Bomb(target)], protocol)
    with pytest.raises(pickles.PickleError, match=r"bomb\.pkl: names `(posix|nt|os)\.mkdir`.*not run.*numpy\.save"):
        pickles.read(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "name", [b"numpy\nload\n", b"builtins\neval\n", b"numpy\nndarray.tofile\n", b"zeroshot.words.pickles\nread\n"]
)
def test_other_names_are_refused(tmp_path, name):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x04c" + name + b".")
    with pytest.raises(pickles.PickleError, match="names `" + name.decode().strip().replace("\n", r"\.")):
        pickles.read(path)


@pytest.mark.parametrize(
    "array", [np.array([object()], dtype=object), np.zeros(2, dtype=[("x", "f4")]), np.array(["a"])]
)
def test_arrays_of_other_types_than_numbers_are_refused(tmp_path, array):
    # An object array is refused because of the name of its class, structured and text arrays because of their dtype.
    with pytest.raises(pickles.PickleError, match="only numbers are read|not run"):
        pickles.read(dump(tmp_path / "a.pkl", array))


def test_every_truncated_pickle_is_refused(tmp_path):
    valid = pickle.dumps(np.arange(4.0))
    path = tmp_path / "cut.pkl"
    for length in range(len(valid)):
        path.write_bytes(valid[:length])
        with pytest.raises(pickles.PickleError, match=r"cut\.pkl"):
            pickles.read(path)


def test_wrong_number_of_bytes_is_refused(tmp_path):
    valid = pickle.dumps(np.arange(4.0))
    forged = valid.replace(b"K\x04\x85", b"K\x7f\x85")
    assert forged != valid
    (tmp_path / "a.pkl").write_bytes(forged)
    with pytest.raises(pickles.PickleError, match=r"shape \(127,\) with the wrong number of bytes"):
        pickles.read(tmp_path / "a.pkl")


def test_huge_empty_array_allocates_no_memory(tmp_path):
    valid = pickle.dumps(np.arange(4.0))
    forged = valid.replace(
        b"K\x00\x85", b"\x8a\x06\x00\x00\x00\x00\x00\x10\x85"
    )  # _reconstruct(ndarray, (2**44,), b"b")
    assert forged != valid
    # A frame contains its number of bytes, which is now wrong, so the frame header is removed.
    (tmp_path / "a.pkl").write_bytes(forged[:2] + forged[11:])
    np.testing.assert_array_equal(pickles.read(tmp_path / "a.pkl").value, np.arange(4.0))
