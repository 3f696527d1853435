"""Reading numbers out of a stranger's pickle without running its code.

A pickle names functions and classes and calls them. Here every name it may use is answered by a small stand-in of our
own, so neither numpy's nor gensim's loading code runs and nothing is imported on the file's behalf; any other name ends
the reading.
"""

import math
import pathlib
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from zeroshot.base import errors

# What damaged bytes raise from inside the unpickler.
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
    """Raised when a pickle is damaged or asks for anything that is not needed to hold numbers."""


class Dtype:
    """Stands in for `numpy.dtype`; plain numbers and booleans only."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        plain = isinstance(code, str) and code[1:].isdecimal()
        if not plain or np.dtype(code).kind not in "fiub":
            raise PickleError(f"holds an array of type {code!r}; only numbers are read")
        self.value: np.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        # (version, byte order, ...): the rest describes structured types, which __init__ has refused.
        self.value = self.value.newbyteorder(state[1])


class Array:
    """Stands in for `numpy.ndarray`; `value` is the array, empty until its state has been read."""

    value = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        # Python 2 wrote the bytes as a string.
        self.value = _from_bytes(
            data.encode("latin1") if isinstance(data, str) else data, dtype, shape, "FC"[not fortran]
        )


def _reconstruct(subtype: Any, shape: Any, code: Any) -> Array:
    # The arguments describe an empty array that the state replaces; not allocating it makes a huge shape harmless.
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
        raise PickleError(f"holds an array of shape {shape} whose bytes do not fill it")
    return np.frombuffer(data, dtype.value).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, encoding: str) -> bytes:
    # Protocol 2 writes bytes as text in Latin-1.
    if encoding != "latin1":
        raise PickleError(f"encodes text as {encoding!r}; only latin1 is needed for arrays")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    # How protocols 0 to 2 write an empty array's bytes.
    return b""


_ARRAY_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "numpy.ndarray",  # only ever an argument of _reconstruct, so it need not be callable
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
            raise PickleError(f"asks for `{module}.{name}`, which a pickled array does not need; it was not run")
        return self.names[module, name]


def read(path: str | pathlib.Path, stand_ins: Mapping[tuple[str, str], type] | None = None) -> Any:
    """Read the pickle at `path`: plain containers, text, numbers and `Array`s.

    Args:
        path: the pickle, of any protocol, written by Python 2 or 3.
        stand_ins: further classes, as (module, name) -> an empty class that receives the attributes.

    Raises:
        PickleError: if the pickle names anything else (the name is given) or is damaged.
    """
    with open(path, "rb") as file:
        try:
            return _Unpickler(file, {**_ARRAY_NAMES, **(stand_ins or {})}).load()
        except PickleError as error:
            raise PickleError(f"{path}: {error}. Save the numbers with numpy.save and give that file") from None
        except _DAMAGE as error:
            raise PickleError(f"{path}: is not a readable pickle ({error})") from None
