"""Training that goes on where it was killed: the state after each epoch is kept in a scratch folder until the outputs are written."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from zs3 import checkpoints, progress

Row = dict[str, float]
State = dict[str, Any]


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
