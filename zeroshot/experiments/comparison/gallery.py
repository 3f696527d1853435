"""Example pictures of each method whose model is drawn: those of its own run, out of DVC's cache."""

import dataclasses
import os
import pathlib
import shutil
from typing import cast

import dvc.api
import dvc_data.index

from zeroshot.experiments.comparison import dvc_experiments, markdown_tables, provenance

_DRAWN = "plots/pictures"


@dataclasses.dataclass(frozen=True)
class Strip:
    """The pictures of one run.

    Attributes:
        methods: whose figures are of this run, and whose model is in the pictures.
        experiment: the run.
        paths: its pictures; empty if it ended before they were drawn, or the cache no longer has them.
    """

    methods: tuple[str, ...]
    experiment: dvc_experiments.Experiment
    paths: tuple[pathlib.Path, ...]


def fetch(root: pathlib.Path, board: markdown_tables.Board, folder: pathlib.Path) -> list[Strip]:
    """Copy pictures of every method, at the K of the table of protocols and the first seed that it has been run with.

    Args:
        root: the repository whose cache holds them.
        board: the methods and what was run of them.
        folder: where they go, in a folder for each run; what lay there is removed.
    """
    if folder.exists():
        shutil.rmtree(folder)
    found: dict[str, tuple[dvc_experiments.Experiment, list[str]]] = {}
    for method in board.comparison.methods:
        for result in board.runs(method, board.comparison.protocols_at)[:1]:
            if not _shows(result.experiment, board.methods[method].model):
                continue
            found.setdefault(result.experiment.rev, (result.experiment, []))[1].append(method)
    return [
        Strip(tuple(methods), experiment, _copy(root, experiment, folder / experiment.name))
        for experiment, methods in found.values()
    ]


def _shows(experiment: dvc_experiments.Experiment, model: str) -> bool:
    """Return whether the stage that draws reads the model."""
    return any(
        dep["path"] == f"models/{model}.pt"
        for stage in experiment.stages
        if any(out["path"] == _DRAWN for out in stage.get("outs", []))
        for dep in stage["deps"]
    )


def _copy(root: pathlib.Path, experiment: dvc_experiments.Experiment, folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
    # Where only some stages ran, pictures of an earlier run may be there still.
    if provenance.origin(experiment.stages, _DRAWN) is None:
        return ()
    there = dvc.api.DVCFileSystem(os.fspath(root), rev=experiment.rev)
    try:
        drawn = {
            folder / pathlib.PurePosixPath(path).name: cast(bytes, there.read_bytes(path))
            for path in there.find(_DRAWN)
        }
    except (FileNotFoundError, dvc_data.index.DataIndexDirError):
        return ()
    folder.mkdir(parents=True)
    for path, content in drawn.items():
        path.write_bytes(content)
    return tuple(sorted(drawn))
