"""Checkpoints: dictionaries of tensors and plain types. Writing is atomic, and reading runs no code from the file."""

import pathlib
import sys
from typing import Any

import torch

from zeroshot.base import storage


def save(path: str | pathlib.Path, checkpoint: dict[str, Any]) -> None:
    """Write `checkpoint` to `path`; equal values give equal bytes.

    Tensors are copied to the CPU in contiguous layout, and a view is saved without the rest of its storage. Tuples become lists.
    """
    with storage.writing(path) as file:
        torch.save(_plain(checkpoint), file)


def load(path: str | pathlib.Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU.

    Raises:
        pickle.UnpicklingError: if the file contains anything but tensors and plain types (`weights_only` of torch.load).
    """
    return torch.load(path, map_location="cpu", weights_only=True)


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone(memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        # A pickle stores a string object once and then refers to it. Interning makes equal strings the same object.
        return sys.intern(str(value))
    return value
