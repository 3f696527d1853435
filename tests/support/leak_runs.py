"""Runs of the pipeline at the tiny size, in this process, that note which files each stage reads."""

import dataclasses
import functools
import pathlib
import shutil
import sys

import h5py
import pytest
import yaml

from tests.support import dag, tiny
from zeroshot.datasets import splits

STAGES = dag.stages(tiny.settings())
PREPARATION = ("make_toy", "convert_labels", "prepare_split", "embed_classes")
BASELINES = tuple(name for name in STAGES if name.startswith("train_baseline@"))
TRAINING = ("train_backbone", "cut_last_layer", "dump_features", "train_gmmn", "finetune_classifier", *BASELINES)
EVALUATION = tuple(name for name in STAGES if name.startswith("evaluate@")) + ("visualise",)
SELF_TRAINING = ("pseudo_label", "self_train")
REPORTS = ("report_pseudo_labels",)
TRAINED = tuple(out for name in (*TRAINING, *SELF_TRAINING) for out in STAGES[name].outs)
MASKS = pathlib.Path("data/masks")

# Python tells an audit hook of every file it opens; a hook cannot be taken away again, so this one has a switch.
_opened: list[str] = []
_listening = False


def _on_event(event: str, arguments: tuple) -> None:
    if _listening and event == "open" and isinstance(arguments[0], str) and "w" not in (arguments[1] or ""):
        _opened.append(arguments[0])


sys.addaudithook(_on_event)


class ReportedFile(h5py.File):
    """HDF5 opens its files without telling Python."""

    def __init__(self, name, mode="r", **options):
        if mode == "r":
            _opened.append(str(name))
        super().__init__(name, mode, **options)


def files_read(folder: pathlib.Path, name: str) -> set[str]:
    """Run a stage and return which of the files that were below `folder` before it read, relative to `folder`."""
    global _listening
    given = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    _opened.clear()
    _listening = True
    try:
        tiny.run(folder, name)
    finally:
        _listening = False
    paths = [folder / path for path in _opened]
    return given & {path.relative_to(folder).as_posix() for path in paths if path.is_relative_to(folder)}


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: its folder, the split, the digests of what training wrote, and the files that each stage read."""

    folder: pathlib.Path
    split: splits.Split
    trained: dict[str, str]
    read: dict[str, set[str]]


def finish(folder: pathlib.Path, names: tuple[str, ...]) -> Run:
    """Run stages, those of `TRAINING` among them, and watch what they read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5py, "File", ReportedFile)
        read = {name: files_read(folder, name) for name in names}
    return Run(folder, splits.read(folder / "data/split.json"), tiny.digests(folder, *TRAINED), read)


def copied(run: Run, folder: pathlib.Path) -> pathlib.Path:
    """Copy a run without what training made of it."""
    return shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("work", "models", "features", "metrics"))


@functools.cache
def _base(folder: pathlib.Path) -> Run:
    names = (*PREPARATION, *TRAINING, *SELF_TRAINING, *REPORTS, "feature_oracle", *EVALUATION)
    return finish(tiny.make(folder / "base"), names)


@functools.cache
def _pixels_base(folder: pathlib.Path) -> Run:
    folder = copied(_base(folder), folder / "pixels")
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.settings({"data": {"exclude": "pixels"}})))
    return finish(folder, ("prepare_split", *TRAINING, *SELF_TRAINING))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The run that others are compared with, under `data.exclude: images`; made once for all test files."""
    return _base(tmp_path_factory.getbasetemp() / "leaks")


@pytest.fixture(scope="module")
def pixels_base(tmp_path_factory):
    """The same under `data.exclude: pixels`."""
    return _pixels_base(tmp_path_factory.getbasetemp() / "leaks")
