"""Checkpoints: dictionaries of tensors and plain types, written whole, read without running code from them."""

import pathlib
import sys
from typing import Any

import torch

from zeroshot.base import storage


def save(path: str | pathlib.Path, checkpoint: dict[str, Any]) -> None:
    """Write `checkpoint` to `path`; tensors are moved to the CPU and cut loose from larger storages, so equal values give equal bytes."""
    with storage.writing(path) as file:
        torch.save(_plain(checkpoint), file)


def load(path: str | pathlib.Path) -> dict[str, Any]:
    """Read a checkpoint on the CPU; anything but tensors and plain types is refused by torch (`weights_only`)."""
    return torch.load(path, map_location="cpu", weights_only=True)


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone(memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        # A pickle holds a string once and refers back to it, if it is one object: equal strings must be one.
        return sys.intern(str(value))
    return value
