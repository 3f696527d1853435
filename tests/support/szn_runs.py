"""Runs of SZN's tiny pipeline in this process that record the files each stage reads."""

import functools
import pathlib
import shutil

import h5py
import pytest

from tests.support import dag, leak_runs, tiny
from zeroshot.datasets import splits

STAGES = {
    name: stage
    for name, stage in dag.stages(tiny.settings(), dag.ALL, tiny.szn_settings()).items()
    if stage.file == dag.SZN
}
DATA = ("make_toy", "convert_labels")
PREPARATION = ("szn/split", "szn/embed")
STAGE_ONE = ("szn/train_embedding", "szn/train_softmax", "szn/cut_embedding", "szn/cut_softmax")
STAGE_TWO = ("szn/dump", "szn/dump_softmax", "szn/calibrate", "szn/train_seenmask")
# Evaluation, and what is made of models and metrics.
EVALUATION = tuple(name for name in STAGES if name not in (*PREPARATION, *STAGE_ONE, *STAGE_TWO))
VARIANTS = ("fcn_s", "fcn_je", "szn", "szn_ps")


def outs(*names: str) -> tuple[str, ...]:
    """Return the paths that stages write."""
    return tuple(out for name in names for out in STAGES[name].outs)


def changed(base: leak_runs.Run, folder: pathlib.Path, *names: str) -> set[str]:
    """Return the outputs of stages in which `folder` differs from the finished run `base`."""
    before, after = (tiny.digests(root, *outs(*names)) for root in (base.folder, folder))
    return leak_runs.changed(before, after, outs(*names))


def copied(run: leak_runs.Run, folder: pathlib.Path, without: tuple[str, ...]) -> pathlib.Path:
    """Copy a run without the outputs of some stages."""
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("work"))
    for out in map(folder.joinpath, outs(*without)):
        shutil.rmtree(out) if out.is_dir() else out.unlink()
    return folder


@functools.cache
def _base(folder: pathlib.Path) -> leak_runs.Run:
    tiny.make(folder)
    tiny.run(folder, *DATA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5py, "File", leak_runs.ReportedFile)
        read = {name: leak_runs.files_read(folder, name) for name in STAGES}
    return leak_runs.Run(folder, splits.read(folder / "data/szn/split.json"), {}, read)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> leak_runs.Run:
    """Return the reference run; it is shared by all test files."""
    return _base(tmp_path_factory.getbasetemp() / "szn_base")
