"""Runs of the tiny pipeline in this process that record the files each stage reads."""

import dataclasses
import functools
import pathlib
import shutil
import sys
from collections.abc import Iterable, Mapping

import h5py
import numpy as np
import pytest
import yaml

from tests.support import dag, tiny
from zeroshot.datasets import splits
from zeroshot.images import image_files, label_ids

STAGES = dag.stages(tiny.settings())
PREPARATION = ("make_toy", "convert_labels", "prepare_split", "embed_classes")
BASELINES = tuple(name for name in STAGES if name.startswith("train_baseline@"))
TRAINING = ("train_backbone", "cut_last_layer", "dump_features", "train_gmmn", "finetune_classifier", *BASELINES)
EVALUATION = tuple(name for name in STAGES if name.startswith("evaluate@")) + ("visualise",)
SELF_TRAINING = ("pseudo_label", "self_train")
REPORTS = ("report_pseudo_labels",)
# Made from models and metrics; no stage reads them.
PACKED = ("zs3net", "zs5net", "baselines", "summarise")
TRAINED = tuple(out for name in (*TRAINING, *SELF_TRAINING) for out in STAGES[name].outs)
MASKS = pathlib.Path("data/masks")

# Python calls audit hooks for every file it opens. A hook cannot be removed, so `_listening` switches this one on and off.
_opened: list[str] = []
_listening = False


def _on_event(event: str, arguments: tuple) -> None:
    if _listening and event == "open" and isinstance(arguments[0], str) and "w" not in (arguments[1] or ""):
        _opened.append(arguments[0])


sys.addaudithook(_on_event)


class ReportedFile(h5py.File):
    """An HDF5 file that records its path, since HDF5 opens files without calling audit hooks."""

    def __init__(self, name, mode="r", **options):
        if mode == "r":
            _opened.append(str(name))
        super().__init__(name, mode, **options)


def files_read(folder: pathlib.Path, name: str) -> set[str]:
    """Run a stage; return the files it read among those already in `folder`, relative to `folder`."""
    global _listening
    existing = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    _opened.clear()
    _listening = True
    try:
        tiny.run(folder, name)
    finally:
        _listening = False
    paths = [folder / path for path in _opened]
    return existing & {path.relative_to(folder).as_posix() for path in paths if path.is_relative_to(folder)}


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: its folder, its split, the digests of the outputs of training, and the files that each stage read."""

    folder: pathlib.Path
    split: splits.Split
    trained: dict[str, str]
    read: dict[str, set[str]]


def finish(folder: pathlib.Path, names: tuple[str, ...]) -> Run:
    """Run stages, which must include those of `TRAINING`, and record the files they read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5py, "File", ReportedFile)
        read = {name: files_read(folder, name) for name in names}
    return Run(folder, splits.read(folder / "data/split.json"), tiny.digests(folder, *TRAINED), read)


def copied(run: Run, folder: pathlib.Path) -> pathlib.Path:
    """Copy a run without the outputs of training."""
    return shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("work", "models", "features", "metrics"))


def changed(before: Mapping[str, str], after: Mapping[str, str], outs: Iterable[str]) -> set[str]:
    """Return the paths of `outs` at or below which the files of two runs differ, given by their `tiny.digests`."""
    differing = {pathlib.PurePath(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    return {out for out in outs if any(path.is_relative_to(out) for path in differing)}


def relabel(paths: Iterable[pathlib.Path], labels: dict[int, int]) -> int:
    """Overwrite labels in masks and return the number of pixels that changed."""
    table = np.arange(label_ids.N_IDS, dtype=np.uint16)
    table[list(labels)] = list(labels.values())
    count = 0
    for path in paths:
        mask = image_files.read_mask(path)
        image_files.write_mask(path, table[mask])
        count += np.count_nonzero(table[mask] != mask)
    return count


def rotate(paths: Iterable[pathlib.Path]) -> int:
    """Give every file the content of the next and return the number of files that changed."""
    paths = list(paths)
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)
    return sum(a != b for a, b in zip(contents, contents[1:] + contents[:1], strict=True))


@functools.cache
def _base(folder: pathlib.Path) -> Run:
    names = (*PREPARATION, *TRAINING, *SELF_TRAINING, *REPORTS, "feature_oracle", *EVALUATION, *PACKED)
    return finish(tiny.make(folder / "base"), names)


@functools.cache
def _pixels_base(folder: pathlib.Path) -> Run:
    folder = copied(_base(folder), folder / "pixels")
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.settings({"data": {"exclude": "pixels"}})))
    return finish(folder, ("prepare_split", *TRAINING, *SELF_TRAINING))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return the reference run with `data.exclude: images`; it is shared by all test files."""
    return _base(tmp_path_factory.getbasetemp() / "leaks")


@pytest.fixture(scope="module")
def pixels_base(tmp_path_factory):
    """Return the reference run with `data.exclude: pixels`; it is shared by all test files."""
    return _pixels_base(tmp_path_factory.getbasetemp() / "leaks")
