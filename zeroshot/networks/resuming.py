"""Training that goes on where it was killed: the state after each epoch is kept in a scratch folder until the outputs are written."""

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

from zeroshot.base import checkpoints, params, progress, scratch
from zeroshot.datasets import splits

Row = dict[str, float]
State = dict[str, Any]


def state_file(
    root: str,
    stage: str,
    options: Any,
    split: splits.Split,
    data: pathlib.Path,
    masks: pathlib.Path,
    device: torch.device,
    *files: pathlib.Path,
) -> pathlib.Path:
    """Return where the state of exactly this training on the images of `split.train` is kept.

    Args:
        root: `runtime.scratch`.
        stage: the stage's name.
        options: the section of params.yaml.
        split: its training images count by name, size and time of change of picture and mask.
        data: the data set's folder.
        masks: the folder of training masks.
        device: where to train.
        files: what else the result depends on; their bytes count.
    """
    folder = scratch.folder(
        root,
        stage,
        json.dumps(params.to_dict(options)).encode(),
        *(file.read_bytes() for file in files),
        scratch.fingerprint(masks, [f"{item.id}.png" for item in split.train]),
        scratch.fingerprint(data, [item.image for item in split.train]),
        f"{torch.__version__} {device}".encode(),
    )
    return folder / "state.pt"


def run(
    file: pathlib.Path, train: Callable[[State | None], Iterator[tuple[Row, State]]], what: str, total: int
) -> list[Row]:
    """Train epoch by epoch.

    Args:
        file: where the state is kept; the caller deletes it once its outputs are written.
        train: from a state to go on from (None: from the start) to the row and the state of every epoch after it.
        what: the name shown with the progress.
        total: number of epochs.

    Returns:
        the rows of all epochs, those of killed runs among them.
    """
    state = checkpoints.load(file) if file.exists() else {"rows": []}
    rows = state.pop("rows")
    epochs = train(state if rows else None)
    for row, state in progress.track(epochs, what, total=total, initial=len(rows)):
        rows.append(row)
        checkpoints.save(file, {**state, "rows": rows})
    return rows
