"""Unfinished work of a killed stage: where it is kept, and training that resumes from it.

It is kept outside DVC's outputs, since DVC deletes these before a stage runs again.
"""

import hashlib
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from zeroshot.base import checkpoints, params, progress, storage

Row = dict[str, float]
State = dict[str, Any]


def folder(root: str | pathlib.Path, stage: str, *parts: bytes) -> pathlib.Path:
    """Return (and create) the folder for unfinished work of `stage` that has exactly these inputs and this code.

    Args:
        root: `runtime.scratch`.
        stage: the stage's name.
        parts: what determines the result, for example the parameters and the split; the source of every loaded `zeroshot`
            module counts too, so that work begun by other code is never continued.
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
    path.mkdir(parents=True, exist_ok=True)
    return path


def fingerprint(folder: pathlib.Path, names: Sequence[str]) -> bytes:
    """Return a short digest of the names, sizes and modification times of files in `folder`, without reading them."""
    digest = hashlib.sha256()
    for name in names:
        status = (folder / name).stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.digest()


def state_file(
    root: str,
    stage: str,
    options: Any,
    folders: Mapping[pathlib.Path, Sequence[str]],
    device: torch.device,
    *files: pathlib.Path,
) -> pathlib.Path:
    """Return where the state of exactly this training is kept.

    Args:
        root: `runtime.scratch`.
        stage: the stage's name.
        options: the section of params.yaml.
        folders: names of the files read in each folder; they count by name, size and time of change.
        device: where to train.
        files: what else the result depends on; their bytes count.
    """
    work = folder(
        root,
        stage,
        json.dumps(params.to_dict(options)).encode(),
        *(file.read_bytes() for file in files),
        *(fingerprint(place, names) for place, names in folders.items()),
        f"{torch.__version__} {device}".encode(),
    )
    return work / "state.pt"


def run(
    file: pathlib.Path,
    train: Callable[[State | None], Iterator[tuple[Row, State]]],
    what: str,
    total: int,
    curve_path: pathlib.Path,
) -> None:
    """Train epoch by epoch; the state and the curve are written after each.

    Args:
        file: where the state is kept; the caller deletes it once its outputs are written.
        train: from the state to resume from (None: from the start) to the row and the state of every epoch after it.
        what: the name shown with the progress.
        total: number of epochs.
        curve_path: table of the rows of all epochs, those of killed runs among them.
    """
    state = checkpoints.load(file) if file.exists() else {"rows": []}
    curve = storage.Curve(curve_path, state.pop("rows"))
    epochs = train(state if curve.rows else None)
    for row, state in progress.track(epochs, what, total=total, initial=len(curve.rows)):
        curve.add(row)
        checkpoints.save(file, {**state, "rows": curve.rows})
