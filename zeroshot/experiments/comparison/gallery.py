"""Example images of each method, copied from DVC's cache: those of the method's own run."""

import dataclasses
import os
import pathlib
import shutil
from typing import cast

import dvc.api
import dvc_data.index

from zeroshot.experiments.comparison import dvc_experiments, markdown_tables, provenance

_IMAGES = "plots/pictures"


@dataclasses.dataclass(frozen=True)
class ExampleImages:
    """The example images of one run.

    Attributes:
        methods: the methods with metrics from this run and a model in the images.
        experiment: the run.
        paths: the images; empty if the run did not write them, or the cache no longer contains them.
    """

    methods: tuple[str, ...]
    experiment: dvc_experiments.Experiment
    paths: tuple[pathlib.Path, ...]


def fetch(root: pathlib.Path, data: markdown_tables.TableData, folder: pathlib.Path) -> list[ExampleImages]:
    """Copy the example images of every method, at the K `pictures_at` and the first seed with a result.

    Args:
        root: the repository; its cache contains the images.
        data: the methods and their results.
        folder: the images are copied to one folder per run in it; its previous content is removed.
    """
    if folder.exists():
        shutil.rmtree(folder)
    methods_of_run: dict[str, tuple[dvc_experiments.Experiment, list[str]]] = {}
    for method in data.comparison.methods:
        for result in data.runs(method, data.comparison.pictures_at)[:1]:
            if not _has_images_of(result.experiment, data.methods[method].model):
                continue
            methods_of_run.setdefault(result.experiment.rev, (result.experiment, []))[1].append(method)
    return [
        ExampleImages(tuple(methods), experiment, _copy(root, experiment, folder / experiment.name))
        for experiment, methods in methods_of_run.values()
    ]


def _has_images_of(experiment: dvc_experiments.Experiment, model: str) -> bool:
    """Return whether the stage that writes the example images reads the model."""
    return any(
        dep["path"] == f"models/classifiers/{model}.pt"
        for stage in experiment.stages
        if any(out["path"] == _IMAGES for out in stage.get("outs", []))
        for dep in stage["deps"]
    )


def _copy(root: pathlib.Path, experiment: dvc_experiments.Experiment, folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
    # If only some stages ran, the images may be older than the metrics.
    if provenance.origin(experiment.stages, _IMAGES) is None:
        return ()
    rev = None if experiment.rev == dvc_experiments.WORKSPACE else experiment.rev
    filesystem = dvc.api.DVCFileSystem(os.fspath(root), rev=rev)
    try:
        contents = {
            folder / pathlib.PurePosixPath(path).name: cast(bytes, filesystem.read_bytes(path))
            for path in filesystem.find(_IMAGES)
        }
    except (FileNotFoundError, dvc_data.index.DataIndexDirError):
        return ()
    folder.mkdir(parents=True)
    for path, content in contents.items():
        path.write_bytes(content)
    return tuple(sorted(contents))
