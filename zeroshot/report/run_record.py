"""What a run was made with: the commit, the lock file, the split, the network's first weights, and the versions of packages."""

import datetime
import hashlib
import importlib.metadata
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

from zeroshot.base import checkpoints, errors
from zeroshot.experiments.comparison import dvc_experiments
from zeroshot.networks import pretraining
from zeroshot.report import blocks, workspace

# The packages whose versions can change numbers.
_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "h5py", "gensim", "dvc", "plotly")
Rows = list[tuple[str, str]]


def section(run: workspace.Workspace, parameters: Mapping[str, str]) -> blocks.Section:
    """Return what the run was made with; `parameters`: file name -> text of each parameter file."""
    texts = [blocks.Text(f"`{name}`", text) for name, text in parameters.items()]
    table = blocks.Table(["what", "value"], _rows(run))
    notes = ["`dvc status` says whether the results still belong to these parameters."]
    return blocks.Section("record", "Parameters and origin", notes, [table, *texts])


def _rows(run: workspace.Workspace) -> Rows:
    """Return (what, value) for every line of the record."""
    split = run.split
    return [
        *_code(run.root),
        ("split", f"{run.checksum}, written {_date(run.root / 'data/split.json')}"),
        (
            "classes",
            f"{len(split.seen)} seen ({'with the' if 0 in split.seen else 'no'} background), {len(split.unseen)} unseen",
        ),
        (
            "images",
            f"{len(split.train)} for training, {len(split.unlabelled)} without labels, {len(split.val)} for evaluation",
        ),
        ("unseen classes in training images", {"images": "whole images left out", "pixels": "ignored"}[split.exclude]),
        *_network(run.file("models/backbone.pt")),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *((name, version) for name in _PACKAGES if (version := _version(name)) is not None),
    ]


def has_repository(root: pathlib.Path) -> bool:
    """Return whether `root` is the top of a Git repository with DVC and a commit."""
    if not (root / ".git").exists() or not (root / ".dvc").is_dir():
        return False
    try:
        return bool(dvc_experiments.commit(root))
    except errors.UserError:
        return False


def _code(root: pathlib.Path) -> Rows:
    if not has_repository(root):
        return [("commit", "unknown: the folder is no Git repository with DVC and a commit")]
    dirty = dvc_experiments.workspace_differs(root)
    commit = dvc_experiments.commit(root).removesuffix("+")
    state = "with changes of tracked files that are not committed" if dirty else "without uncommitted changes"
    lock = root / "dvc.lock"
    digest = hashlib.md5(lock.read_bytes()).hexdigest() if lock.exists() else "missing"
    return [("commit", f"{commit}, {state}"), ("MD5 of dvc.lock", digest)]


def _network(path: pathlib.Path | None) -> Rows:
    if path is None:
        return [("network", "models/backbone.pt does not exist; `dvc repro train_backbone` makes it")]
    content = checkpoints.load(path, checkpoints.Configured)
    config: dict[str, Any] = content["config"]
    sentences = [sentence for kind, sentence in pretraining.SENTENCES.items() if kind == config.get("pretraining")]
    return [
        ("network", f"{config.get('encoder', 'unknown encoder')}, first weights {config.get('weights', 'unknown')}"),
        ("pretraining", sentences[0] if sentences else "not recorded"),
    ]


def _date(path: pathlib.Path) -> str:
    return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
