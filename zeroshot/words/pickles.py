"""Reading numbers from an untrusted pickle without running its code.

A pickle names functions and classes and calls them. This reader replaces every allowed name by a small stand-in, so that neither numpy's
nor gensim's loading code runs and the file imports no module. Any other name is an error.
"""

import math
import pathlib
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from zeroshot.base import errors

# Exceptions that the unpickler raises on damaged bytes.
_DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class PickleError(errors.UserError):
    """Raised if a pickle is damaged or contains anything but arrays of numbers and plain types."""


class Dtype:
    """Stands in for `numpy.dtype`; only numbers and booleans are allowed."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        plain = isinstance(code, str) and code[1:].isdecimal()
        if not plain or np.dtype(code).kind not in "fiub":
            raise PickleError(f"contains an array of type {code!r}; only numbers are read")
        self.value: np.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        # The state is (version, byte order, ...). The rest describes structured types, which __init__ refuses.
        self.value = self.value.newbyteorder(state[1])


class Array:
    """Stands in for `numpy.ndarray`; `value` is the array, empty until its state has been read."""

    value = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        # Python 2 saved the bytes as a string.
        self.value = _from_bytes(
            data.encode("latin1") if isinstance(data, str) else data, dtype, shape, "FC"[not fortran]
        )


def _reconstruct(subtype: Any, shape: Any, code: Any) -> Array:
    # The arguments describe an empty array, which the state then replaces. It is not allocated, so a huge shape is harmless.
    return Array()


def _frombuffer(data: Any, dtype: Dtype, shape: tuple, order: str, axis_order: tuple | None = None) -> Array:
    array = Array()
    if order == "K" and axis_order is not None:
        array.value = _from_bytes(data, dtype, shape, "C").transpose(axis_order)
    else:
        array.value = _from_bytes(data, dtype, shape, order)
    return array


def _from_bytes(data: Any, dtype: Dtype, shape: tuple, order: str) -> np.ndarray:
    if not isinstance(data, bytes | bytearray) or len(data) != math.prod(shape) * dtype.value.itemsize:
        raise PickleError(f"contains an array of shape {shape} with the wrong number of bytes")
    return np.frombuffer(data, dtype.value).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, encoding: str) -> bytes:
    # Protocol 2 saves bytes as Latin-1 text.
    if encoding != "latin1":
        raise PickleError(f"encodes text as {encoding!r}; only latin1 is needed for arrays")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    # Protocols 0 to 2 save the bytes of an empty array as a call of `bytes`.
    return b""


_ARRAY_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "numpy.ndarray",  # Only an argument of _reconstruct, so a string suffices.
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, names: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file, encoding="latin1")
        self.names = names

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.names:
            raise PickleError(f"names `{module}.{name}`, which a pickled array does not need; it was not run")
        return self.names[module, name]


def read(path: str | pathlib.Path, stand_ins: Mapping[tuple[str, str], type] | None = None) -> Any:
    """Read the pickle at `path`: plain containers, text, numbers and `Array`s.

    Args:
        path: the pickle, of any protocol, written by Python 2 or 3.
        stand_ins: further allowed classes, (module, name) -> an empty class that receives the attributes.

    Raises:
        PickleError: if the pickle names anything else (the text contains the name) or is damaged.
    """
    with open(path, "rb") as file:
        try:
            return _Unpickler(file, {**_ARRAY_NAMES, **(stand_ins or {})}).load()
        except PickleError as error:
            raise PickleError(f"{path}: {error}. Save the numbers with numpy.save and use that file") from None
        except _DAMAGE as error:
            raise PickleError(f"{path}: is not a readable pickle ({error})") from None
