"""Example images of each method, copied from DVC's cache: those of the method's own run."""

import dataclasses
import os
import pathlib
import shutil
from typing import cast

import dvc.api
import dvc_data.index

from zeroshot.experiments.comparison import dvc_experiments, markdown_tables, model_files, provenance


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
    # One experiment may have the images of both pipelines.
    methods_of_images: dict[tuple[str, str], tuple[dvc_experiments.Experiment, list[str]]] = {}
    for method in data.comparison.methods:
        model = data.methods[method].model
        for result in data.runs(method, data.comparison.pictures_at)[:1]:
            if _has_images_of(result.experiment, model):
                key = (result.experiment.rev, model_files.pipeline(model))
                methods_of_images.setdefault(key, (result.experiment, []))[1].append(method)
    examples = []
    for (_, pipeline), (experiment, methods) in methods_of_images.items():
        images = model_files.pictures(data.methods[methods[0]].model)
        paths = _copy(root, experiment, images, folder / experiment.name / pipeline)
        examples.append(ExampleImages(tuple(methods), experiment, paths))
    return examples


def _has_images_of(experiment: dvc_experiments.Experiment, model: str) -> bool:
    """Return whether the stage that writes the example images reads the model."""
    return any(
        dep["path"] == model_files.classifier(model)
        for stage in experiment.stages
        if any(out["path"] == model_files.pictures(model) for out in stage.get("outs", []))
        for dep in stage["deps"]
    )


def _copy(
    root: pathlib.Path, experiment: dvc_experiments.Experiment, images: str, folder: pathlib.Path
) -> tuple[pathlib.Path, ...]:
    # If only some stages ran, the images may be older than the metrics.
    if provenance.origin(experiment.stages, images) is None:
        return ()
    rev = None if experiment.rev == dvc_experiments.WORKSPACE else experiment.rev
    filesystem = dvc.api.DVCFileSystem(os.fspath(root), rev=rev)
    try:
        contents = {
            folder / pathlib.PurePosixPath(path).name: cast(bytes, filesystem.read_bytes(path))
            for path in filesystem.find(images)
        }
    except (FileNotFoundError, dvc_data.index.DataIndexDirError):
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        path.write_bytes(content)
    return tuple(sorted(contents))
