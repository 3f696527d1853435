"""Unfinished work of an interrupted stage: the folder for it, and training that resumes from it.

The folder is outside DVC's outputs, because DVC deletes outputs before it runs a stage again.
"""

import collections
import hashlib
import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import typing_extensions

from zeroshot.base import checkpoints, endings, locks, params, progress, ranks, storage

Row = dict[str, float]
State = dict[str, Any]


class _State(typing_extensions.TypedDict):
    __pydantic_config__ = checkpoints.ENTRIES  # type: ignore[misc]
    rows: list[dict[str, Any]]


def folder(root: str | pathlib.Path, stage: str, *parts: bytes) -> pathlib.Path:
    """Create and return the folder for unfinished work of `stage` with exactly these inputs and this code.

    Within a stage, no other process gets the same folder, for example from another workspace with the same `root`.

    Args:
        root: `runtime.scratch`.
        stage: the stage's name.
        parts: all inputs that determine the result, for example the parameters and the split. The source of every loaded
            `zeroshot` module is added, so that work of an older version of the code is never resumed.

    Raises:
        errors.UserError: if another process works there.
    """
    digest = hashlib.sha256()
    sources = sorted(
        (name, module.__file__)
        for name, module in sys.modules.items()
        if name.startswith("zeroshot.") and module.__file__
    )
    for part in [*parts, *(pathlib.Path(file).read_bytes() for _, file in sources)]:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    path = pathlib.Path(root) / stage / digest.hexdigest()[:16]
    locks.alone_in(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def fingerprint(paths: Iterable[pathlib.Path]) -> bytes:
    """Return a short digest of the names and the contents of files, in this order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0{storage.sha256(path)}\0".encode())
    return digest.digest()


def computed_by(device: torch.device) -> bytes:
    """Return what decides the last bits of a result besides its inputs: the version of PyTorch, the device and the number of threads."""
    return f"{torch.__version__} {device} {torch.get_num_threads()}".encode()


def state_file(
    root: str, stage: str, options: Any, device: torch.device, files: Iterable[pathlib.Path]
) -> pathlib.Path:
    """Return the path of the state of a training with exactly these inputs.

    Args:
        root: `runtime.scratch`.
        stage: the stage's name.
        options: the section of params.yaml.
        device: the device of the training.
        files: all files on which the result depends, or files with their checksums.
    """
    state_folder = folder(
        root,
        stage,
        json.dumps(params.to_dict(options)).encode(),
        fingerprint(files),
        computed_by(device),
        # The order of summation and the draws of dropout depend on it.
        *([f"{ranks.count()} ranks".encode()] if ranks.count() > 1 else []),
    )
    return state_folder / "state.pt"


def run(
    file: pathlib.Path,
    train: Callable[[State | None], Iterator[tuple[Row, State]]],
    what: str,
    total: int,
    curve_path: pathlib.Path,
) -> None:
    """Train epoch by epoch, and write the state and the curve after each epoch; of several ranks, rank 0 writes.

    Args:
        file: path of the state; the caller deletes the file after it has written its outputs.
        train: takes the state to resume from (None: start from the beginning), and yields the row and the state of every later epoch.
        what: the displayed name.
        total: number of epochs.
        curve_path: table of the rows of all epochs, including those of interrupted runs.

    Raises:
        errors.UserError: if ranks find different states.
    """
    remedy = "delete it, and the training starts from the beginning"
    state = checkpoints.load(file, _State, remedy) if file.exists() else {"rows": []}
    rows = state.pop("rows")
    ranks.check_equal(
        (file.parent.name, len(rows)),
        f"{file}: not every process finds the same unfinished work; set runtime.scratch to a folder that all machines share",
    )
    epochs = train(state if rows else None)
    if ranks.rank():
        collections.deque(epochs, maxlen=0)
        return
    curve = storage.Curve(curve_path, rows)
    kept = len(curve.rows)
    with endings.keeping(
        lambda: f"{kept} of {total} epochs are kept in {file.parent}; run again to go on" if kept else ""
    ):
        for row, state in progress.track(epochs, what, total=total, initial=kept):
            curve.add(row)
            checkpoints.save(file, {**state, "rows": curve.rows})
            kept = len(curve.rows)
