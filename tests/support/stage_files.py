"""Running stages on the files that tests/support/pixel_world.py writes."""

import functools
import importlib
import pathlib
from typing import Any

import yaml

from tests.support import quick_sections
from zeroshot.base import command_line

ARGUMENTS = {
    "train_gmmn": "--split-path data/split.json --features-dir features/train --embeddings-path data/class_embeddings.h5"
    " --context-masks-path data/pretrained/none"
    " --gmmn-path models/gmmn.pt --curve-path metrics/gmmn_curve.csv --quality-path metrics/gmmn_quality.csv",
    "finetune_classifier": "--split-path data/split.json --features-dir features/train --gmmn-path models/gmmn.pt"
    " --start-path models/classifiers/seen_only.pt --classifier-path models/classifiers/zs3net.pt"
    " --cross-validation-path models/cross_validation.pt --curve-path metrics/classifier_curve.csv"
    " --calibration-path metrics/calibration.csv",
    "pseudo_label": "--split-path data/split.json --features-dir features/unlabelled --classifier-path models/classifiers/zs3net.pt"
    " --pseudo-dir features/pseudo --counts-path metrics/pseudo_counts.csv",
    "report_pseudo_labels": "--split-path data/split.json --features-dir features/unlabelled --pseudo-dir features/pseudo"
    " --later-rounds-path features/later_rounds.h5 --masks-dir data/masks/unlabelled --report-path metrics/pseudo_labels.csv"
    " --later-report-path metrics/pseudo_labels_later.csv",
    "self_train": "--split-path data/split.json --features-dir features/train --unlabelled-dir features/unlabelled"
    " --pseudo-dir features/pseudo --gmmn-path models/gmmn.pt --start-path models/classifiers/zs3net.pt"
    " --cross-validation-path models/cross_validation.pt --classifier-path models/classifiers/zs5net.pt"
    " --later-rounds-path features/later_rounds.h5 --curve-path metrics/self_training_curve.csv"
    " --calibration-path metrics/self_training_calibration.csv",
    "visualise": "--data-root data/world --split-path data/split.json --features-dir features/val"
    " --model-paths models/classifiers/seen_only.pt models/classifiers/zs3net.pt --pictures-dir plots/pictures",
    "evaluate": "--dataset data/world --split-path data/split.json --features-dir features/val"
    " --classifier-path models/classifiers/zs3net.pt"
    " --metrics-path metrics/zs3net.json --classes-path metrics/zs3net_classes.csv"
    " --confusion-path metrics/zs3net_confusion.csv --images-path metrics/zs3net_images.h5",
}


def run(folder: pathlib.Path, monkeypatch: Any, *names: str, **sections: dict[str, Any]) -> None:
    """Run stages in this process, in `folder`; `sections` replace sections of the quick params.yaml."""
    monkeypatch.chdir(folder)
    pathlib.Path("params.yaml").write_text(yaml.safe_dump(quick_sections.document(**sections)))
    for name in names:
        command_line.run(importlib.import_module(f"stages.{name}").main, ARGUMENTS[name].split())


@functools.cache
def outs(name: str) -> tuple[str, ...]:
    """Return the paths that a stage writes."""
    flags = {
        "train_gmmn": ("--gmmn-path", "--curve-path", "--quality-path"),
        "finetune_classifier": ("--classifier-path", "--cross-validation-path", "--curve-path", "--calibration-path"),
        "pseudo_label": ("--pseudo-dir", "--counts-path"),
        "report_pseudo_labels": ("--report-path", "--later-report-path"),
        "self_train": ("--classifier-path", "--later-rounds-path", "--curve-path", "--calibration-path"),
        "evaluate": ("--metrics-path", "--classes-path", "--confusion-path", "--images-path"),
    }[name]
    words = ARGUMENTS[name].split()
    return tuple(words[words.index(flag) + 1] for flag in flags)


def content(folder: pathlib.Path, name: str) -> dict[str, bytes]:
    """Return the bytes of every file that a stage wrote to `folder`."""
    written = [folder / out for out in outs(name)]
    files = [file for path in written for file in ([path] if path.is_file() else sorted(path.iterdir()))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
