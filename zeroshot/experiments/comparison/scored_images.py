"""The confusion matrices of single images behind a row of the tables, from DVC's cache, for intervals over evaluation images."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

import dvc.repo

from zeroshot.datasets import splits
from zeroshot.evaluation import bootstrap, image_confusions
from zeroshot.experiments.comparison import catalogue, collect, model_files


def read(root: pathlib.Path, method: catalogue.Method, results: Sequence[collect.Result]) -> bootstrap.Scored | None:
    """Return the runs of a method; None if there is none, or if the cache lacks the images of one, or the runs have different images.

    Args:
        root: the repository; its cache contains the files.
        method: its model, and the protocol that its row shows.
        results: the runs of the method at one K.
    """
    return _read(root, method.model, method.figures, results)


def read_vanilla(
    root: pathlib.Path, method: catalogue.Method, results: Sequence[collect.Result]
) -> bootstrap.Scored | None:
    """Return the runs of a method in the vanilla protocol, with the mIoU of unseen classes in the place of hIoU; None as from `read`.

    The protocol has no hIoU, since no seen class is scored. With the unseen classes as both groups, hIoU is the harmonic mean of their
    mIoU with itself, which is that mIoU.
    """
    scored = _read(root, method.model, "vanilla", results)
    return None if scored is None else dataclasses.replace(scored, seen=scored.unseen)


def _read(root: pathlib.Path, model: str, protocol: str, results: Sequence[collect.Result]) -> bootstrap.Scored | None:
    runs, images, roles = [], set(), set()
    for result in results:
        matrices_path = _cached(root, result, model_files.image_confusions(model))
        split_path = _cached(root, result, model_files.split(model))
        if matrices_path is None or split_path is None:
            return None
        confusions, split = image_confusions.read(matrices_path), splits.read(split_path)
        if protocol not in confusions.counts:
            return None
        runs.append(confusions.counts[protocol])
        images.add(confusions.images)
        roles.add((split.seen, split.unseen, _absent(result)))
    if len(images) != 1 or len(roles) != 1:
        return None
    return bootstrap.Scored(images.pop(), runs, *roles.pop())


def _cached(root: pathlib.Path, result: collect.Result, path: str) -> pathlib.Path | None:
    """Return where DVC's cache has the file `path` of a run, if it does."""
    for stage in result.experiment.stages:
        for out in stage.get("outs", []):
            if out["path"] == path and (md5 := out.get("md5")):
                cached = pathlib.Path(_path_of_hash(str(root))(md5))
                return cached if cached.exists() else None
    return None


@functools.cache
def _path_of_hash(root: str) -> Callable[[str], str]:
    """Return the function that maps a hash to a path in DVC's cache. To open a repository takes tenths of a second."""
    with dvc.repo.Repo(root) as repo:
        return repo.cache.local.oid_to_path


def _absent(result: collect.Result) -> str:
    """Return how the run counts classes without a true pixel."""
    for stage in result.experiment.stages:
        for values in stage.get("params", {}).values():
            if "evaluation" in values:
                return values["evaluation"]["absent_classes"]
    return "skip"
