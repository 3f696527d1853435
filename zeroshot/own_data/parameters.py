"""The keys of params.yaml that suit a prepared data set."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from zeroshot.own_data import report

# Folder of the image lists in VOC's layout, below the data root.
LIST_FOLDER = "ImageSets/Segmentation"
# Comments of keys whose comment in the preset speaks of VOC.
_COMMENTS = {
    "data.root": "Root folder of the data set that `zeroshot check` wrote. The paths below are relative to it.",
    "data.classes": "Class list: one name per line; line 0 is the background or, without one, a mere place holder.",
    "data.n_unseen": "Number of names taken from a published list. Null: `unseen` has the names.",
    "data.unseen": "Names of the unseen classes: those without masks, and those that are declared unseen.",
    "data.train_list": "List of training ids.",
    "data.train_masks": "Folder of the training masks, <id>.png.",
    "embeddings.source": "Source of the vectors. `glove` is the installed package of 400,000 words; the other sources are `word2vec`,"
    " `vectors`, `matrix`, `downloader` and `one_hot`.",
    "embeddings.path": "File of the source; `glove` needs none, so this is an empty file.",
    "embeddings.normalise": "Length of the class vectors. `unit` makes it 1, `largest` divides all by the longest, `none` leaves it.",
    "backbone.weights": "Initial weights of the encoder: an empty file of the name of torchvision's weights, which are downloaded once,"
    " or a file with weights.",
    "backbone.pretraining": "What the encoder was pretrained with. ImageNet's labels include many everyday classes, so `labels`.",
}


def text(changes: Mapping[str, Any], prefix: str = "", indent: str = "") -> str:
    """Return keys as YAML, with a comment above those whose comment in the preset would not suit."""
    parts = []
    for key, value in changes.items():
        comment = _COMMENTS.get(f"{prefix}{key}")
        parts += [f"{indent}# {comment}\n"] if comment else []
        if isinstance(value, dict) and value:
            parts.append(f"{indent}{key}:\n{text(value, f'{prefix}{key}.', f'{indent}  ')}")
        else:
            lines = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True).splitlines(keepends=True)
            parts += [indent + line for line in lines]
    return "".join(parts)


def title(out: pathlib.Path) -> str:
    """Return how a parameter file begins that `zeroshot check` wrote for this data set."""
    return f"# {out}, written by `zeroshot check "


def aliases(before: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the words that a user has chosen for class names in an earlier parameter file, for those of `names`."""
    embeddings = before.get("embeddings")
    chosen = embeddings.get("aliases") if isinstance(embeddings, dict) else None
    return {name: words for name, words in (chosen or {}).items() if name in names}


def decided(changes: Mapping[str, Any], weights: pathlib.Path | None) -> dict[str, Any]:
    """Return the keys whose values do not stay when the folder is checked again.

    Args:
        changes: the result of `of`.
        weights: the argument of `of`.
    """
    return {
        "data": changes["data"],
        "embeddings": {"background": None, "aliases": None},
        "classifier": changes["classifier"],
        "baseline": changes["baseline"],
        "backbone": {"weights": None} if weights else {},
    }


def of(out: pathlib.Path, summary: report.Summary, weights: pathlib.Path | None = None) -> dict[str, Any]:
    """Return the keys of params.yaml that this data set needs, over the preset voc_small.

    Args:
        out: the data set.
        summary: what it has.
        weights: a file of weights of the encoder; None: torchvision's, which are downloaded.
    """
    has_background = summary.numbering.has_background
    training = [summary.shown[id].keys() for id in summary.lists["train"] if id in summary.shown]
    seen = [label for label in range(1, len(summary.numbering.names)) if label not in summary.unseen]
    # With `images`, cross-validation could find no image that lacks a held-out class.
    everywhere = any(sum(label in of_image for of_image in training) > len(training) / 2 for label in seen)
    # Cross-validation holds out one class and trains on another. Holding out more than a third would leave too little to learn from.
    held_out = max(1, min(len(summary.unseen), len(seen) // 3))
    # Both need two classes.
    calibrated = len(seen) > 1
    choices: dict[str, Any] = {"calibration": {"enabled": calibrated, "held_out": held_out}}
    baselines: dict[str, Any] = {name: {"calibrated": calibrated} for name in ("devise", "ale", "spnet")}
    baselines["held_out"] = held_out
    return {
        "data": {
            "root": out.as_posix(),
            "classes": "classes.txt",
            "background": "label_0" if has_background else None,
            "exclude": "pixels" if everywhere else "images",
            "n_unseen": None,
            "unseen": [summary.numbering.names[label] for label in summary.unseen],
            "train_list": f"{LIST_FOLDER}/train.txt",
            "val_list": f"{LIST_FOLDER}/val.txt",
            "unlabelled_list": f"{LIST_FOLDER}/unlabelled.txt" if summary.lists["unlabelled"] else None,
            "train_masks": "SegmentationClass",
            "val_masks": "SegmentationClass",
        },
        "embeddings": {
            "source": "glove",
            "path": "data/pretrained/none",
            "normalise": "unit",
            "background": "vector" if has_background else "zero",
        },
        "backbone": {
            "weights": "data/pretrained/IMAGENET1K_V1" if weights is None else weights.as_posix(),
            "pretraining": "labels",
            "precision": "float32",
        },
        # Without special instructions a CPU computes in bfloat16 many times more slowly.
        "features": {"precision": "float32"},
        "gmmn": {"precision": "float32"},
        "classifier": choices,
        "baseline": baselines,
    }
