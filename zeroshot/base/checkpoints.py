"""Checkpoints: dictionaries of tensors and plain types. Writing is atomic, and reading runs no code from the file."""

import pathlib
import re
import sys
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import pydantic
import torch
import typing_extensions
from torch import nn

from zeroshot.base import errors, storage, user_files

# Configuration of a TypedDict that describes the needed entries of a checkpoint; others are kept as they are.
ENTRIES = pydantic.ConfigDict(extra="allow", strict=True, arbitrary_types_allowed=True)


class Configured(typing_extensions.TypedDict):
    """A checkpoint with the parameters that made it."""

    __pydantic_config__ = ENTRIES  # type: ignore[misc]
    config: dict[str, Any]


class CheckpointError(errors.UserError):
    """Raised if a file does not contain the tensors and plain types that are needed; the text names the file, the cause and the remedy."""


def save(path: str | pathlib.Path, checkpoint: dict[str, Any]) -> None:
    """Write `checkpoint` to `path`; equal values give equal bytes.

    Tensors are copied to the CPU in contiguous layout, and a view is saved without the rest of its storage. Tuples become lists.
    """
    with storage.writing(path) as file:
        torch.save(_plain(checkpoint), file)


def read(path: str | pathlib.Path) -> Any:
    """Read what torch.save wrote to a file: tensors, on the CPU, and plain types.

    Raises:
        CheckpointError: if the file is missing, damaged or of another kind, contains anything else (no code in it is run), or would be
            larger in memory than on the disk.
    """
    try:
        start = user_files.head(path)
        if not start:
            raise CheckpointError(f"{path}: is empty, so it is no PyTorch file")
        _check_size(path)
        with warnings.catch_warnings():
            # torch warns about the pickle protocol before it refuses a foreign file.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except user_files.FileError as error:
        raise CheckpointError(str(error)) from None
    except CheckpointError:
        raise
    except Exception as error:  # On a file that is not a checkpoint, the unpickler may raise any exception.
        raise CheckpointError(f"{path}: cannot be read as a PyTorch file: {_cause(error)}") from error


def load(path: str | pathlib.Path, content: Any = dict[str, Any], remedy: str = user_files.REMEDY) -> dict[str, Any]:
    """Read a checkpoint that a stage wrote.

    Args:
        path: the file.
        content: the needed entries, as a TypedDict with the configuration `ENTRIES`; by default any with text keys.
        remedy: what to do about a file that cannot be used.

    Raises:
        CheckpointError: for the reasons of `read`, or if entries are missing or have other types; the text names them.
    """
    try:
        entries = read(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; {remedy}") from error
    return check(path, entries, content, remedy)


def check(path: str | pathlib.Path, entries: Any, content: Any, remedy: str = user_files.REMEDY) -> dict[str, Any]:
    """Return the entries that `read` returned for `path` if they are as needed; arguments and error are those of `load`."""
    try:
        return pydantic.TypeAdapter(content).validate_python(entries)
    except pydantic.ValidationError as error:
        faults = "; ".join(errors.describe(error))
        raise CheckpointError(f"{path}: is not the checkpoint that is needed here: {faults}; {remedy}") from None


def load_weights(network: nn.Module, state: Mapping[str, Any], where: str) -> None:
    """Copy the weights of a checkpoint into a network that was built from its configuration.

    Raises:
        CheckpointError: if they do not fit.
    """
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise CheckpointError(
            f"{where}: its weights do not fit its configuration: {text}; {user_files.REMEDY}"
        ) from error


def _check_size(path: str | pathlib.Path) -> None:
    """Refuse an archive whose parts have more bytes than the file: torch.save compresses nothing, and torch.load unpacks any size."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        size = pathlib.Path(path).stat().st_size
        if unpacked > size:
            raise CheckpointError(
                f"{path}: has {size:,} bytes and unpacks to {unpacked:,}, so torch.save did not write it"
            )


def _cause(error: Exception) -> str:
    """Return the cause in torch's message, which goes on with advice to run the code in the file."""
    text = str(error)
    code = re.search(r"GLOBAL (\S+)", text)
    if code:
        return f"it names `{code[1]}`, but only tensors and plain types are read"
    _, _, cause = text.partition("WeightsUnpickler error: ")
    first_sentence = (cause or text).strip().partition("\n")[0].partition(". ")[0]
    return f"{type(error).__name__} {first_sentence}".rstrip()


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
