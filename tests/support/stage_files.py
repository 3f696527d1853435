"""Running stages on the files of tests/support/pixel_world.py."""

import functools
import importlib
import pathlib
from typing import Any

import yaml

from tests.support import quick_sections

ARGUMENTS = {
    "train_gmmn": "--split data/split.json --features features/train --embeddings data/class_embeddings.h5"
    " --context-masks data/pretrained/none"
    " --gmmn models/gmmn.pt --curve metrics/gmmn_curve.csv --quality metrics/gmmn_quality.csv",
    "finetune_classifier": "--split data/split.json --features features/train --gmmn models/gmmn.pt"
    " --start models/seen_only.pt --classifier models/zs3net.pt --rehearsals models/rehearsals.pt"
    " --curve metrics/classifier_curve.csv --calibration metrics/calibration.csv",
    "pseudo_label": "--split data/split.json --features features/unlabelled --classifier models/zs3net.pt"
    " --pseudo features/pseudo --counts metrics/pseudo_counts.csv",
    "report_pseudo_labels": "--split data/split.json --features features/unlabelled --pseudo features/pseudo"
    " --later-rounds features/later_rounds.h5 --masks data/masks/unlabelled --report metrics/pseudo_labels.csv"
    " --later-report metrics/pseudo_labels_later.csv",
    "self_train": "--split data/split.json --features features/train --unlabelled features/unlabelled"
    " --pseudo features/pseudo --gmmn models/gmmn.pt --start models/zs3net.pt --rehearsals models/rehearsals.pt"
    " --classifier models/zs5net.pt --later-rounds features/later_rounds.h5 --curve metrics/self_training_curve.csv"
    " --calibration metrics/self_training_calibration.csv",
    "visualise": "--data data/world --split data/split.json --features features/val"
    " --model models/seen_only.pt --model models/zs3net.pt --pictures plots/pictures",
    "evaluate": "--split data/split.json --features features/val --classifier models/zs3net.pt"
    " --metrics metrics/zs3net.json --classes metrics/zs3net_classes.csv --confusion metrics/zs3net_confusion.csv",
}


def run(folder: pathlib.Path, monkeypatch: Any, *names: str, **sections: dict[str, Any]) -> None:
    """Run stages in this process, in `folder`, with these sections of params.yaml instead of quick ones."""
    monkeypatch.chdir(folder)
    pathlib.Path("params.yaml").write_text(yaml.safe_dump(quick_sections.document(**sections)))
    for name in names:
        importlib.import_module(f"stages.{name}").main(ARGUMENTS[name].split())


@functools.cache
def outs(name: str) -> tuple[str, ...]:
    """Return the paths that a stage writes."""
    flags = {
        "train_gmmn": ("--gmmn", "--curve", "--quality"),
        "finetune_classifier": ("--classifier", "--rehearsals", "--curve", "--calibration"),
        "pseudo_label": ("--pseudo", "--counts"),
        "report_pseudo_labels": ("--report", "--later-report"),
        "self_train": ("--classifier", "--later-rounds", "--curve", "--calibration"),
        "evaluate": ("--metrics", "--classes", "--confusion"),
    }[name]
    words = ARGUMENTS[name].split()
    return tuple(words[words.index(flag) + 1] for flag in flags)


def content(folder: pathlib.Path, name: str) -> dict[str, bytes]:
    """Return the bytes that a stage wrote in `folder`."""
    written = [folder / out for out in outs(name)]
    files = [file for path in written for file in ([path] if path.is_file() else sorted(path.iterdir()))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
