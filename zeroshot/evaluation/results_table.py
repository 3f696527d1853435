"""The results table on the terminal, in the layout of Tables 1 and 2 of the paper."""

import pathlib
from collections.abc import Mapping
from typing import Any

from zeroshot.base import errors
from zeroshot.evaluation import metrics_files
from zeroshot.networks import pretraining

_INTERVAL_WIDTH = len(" [100.0, 100.0]")


def table(folder: str | pathlib.Path, split_path: pathlib.Path | None = None) -> str:
    """Return one line for each model with metrics in `folder`. A model with a seen bias has a second line without the bias.
    Where the bias is 0, chosen or not, both would be the same.

    Only metrics of one split are in the table: that in `split_path`, or without it the one to which all metrics belong. Below the
    models stands what the encoder was pretrained with, and last the files of other splits.

    The interval is that of hIoU over resampled evaluation images (`bootstrap`). The last column is the mIoU of the
    vanilla protocol, which predicts no seen class and so does not depend on the bias.

    Raises:
        errors.UserError: if the folder has no metrics of the split, or a file of it is of an older version of this code.
    """
    lines = []
    selection = metrics_files.of_one_split(metrics_files.paths(folder), split_path)
    for path, values in selection.values.items():
        notes = _notes(values)
        name = f"{path.stem} ({', '.join(notes)})" if notes else path.stem
        term = _term(values)
        if term and values["seen_bias"]:
            lines.append((f"{name}, no {term}", _numbers(values["without_bias"], values["vanilla"])))
        # Of a model without unseen classes there is nothing to say.
        if term and (values["seen_bias"] or values["vanilla"] is not None):
            name = f"{name}, {term} {values['seen_bias']:g}"
        lines.append((name, _numbers(values["generalised"], values["vanilla"])))
    if not lines:
        raise errors.UserError(f"{folder}: no metrics; compute them with `dvc repro`")
    group_width = 7 * len(metrics_files.FIGURES)
    headers = [
        (
            "",
            "".join(f"{group.capitalize():^{group_width}}" for group in metrics_files.GROUPS)
            + f"{'':{8 + _INTERVAL_WIDTH}}{'Vanilla':>10}",
        ),
        ("per cent", _names() * len(metrics_files.GROUPS) + f"{'hIoU':>8}{'95 %':>{_INTERVAL_WIDTH - 4}}{'mIoU':>14}"),
    ]
    width = max(24, *(len(name) + 1 for name, _ in lines))
    rows = [f"{name:{width}}{text}" for name, text in headers + lines]
    rows += _encoders({path.stem: values["pretraining"] for path, values in selection.values.items()})
    return "\n".join([*rows, selection.note] if selection.note else rows)


def _encoders(recorded: Mapping[str, pretraining.Pretraining]) -> list[str]:
    """Return what the encoders were pretrained with: one sentence if it is the same for all models, else one for each kind."""
    kinds = list(dict.fromkeys(recorded.values()))
    if len(kinds) == 1:
        return [pretraining.SENTENCES[kinds[0]]]
    return [
        f"{', '.join(name for name in recorded if recorded[name] == kind)}: {pretraining.SENTENCES[kind]}"
        for kind in kinds
    ]


def _term(values: metrics_files.Metrics) -> str | None:
    """Return what favours a side: the bias of seen classes or the threshold of SZN's mask; None where the true mask chooses the side."""
    if "candidates" not in values:
        return "bias"
    return "threshold" if "mask_accuracy" in values else None


def _notes(values: metrics_files.Metrics) -> list[str]:
    """Return a note for each setting of the protocol that is not the default, for a side window, and for a lack of what a name says."""
    protocol = values["evaluation"]
    notes = [] if values["exclude"] == "images" else [values["exclude"]]
    if protocol["image_short_side"] is not None:
        notes.append(f"at {protocol['image_short_side']}")
    elif protocol["short_side"] is not None:
        notes.append(f"masks at {protocol['short_side']}")
    if values.get("graph_context") == "true_masks":
        notes.append("true unseen masks")
    if values.get("no_pseudo_labels"):
        notes.append("no pseudo-labels")
    if _term(values) is None:
        notes.append("true mask")
    if "side_window" in values:
        notes.append(f"window {values['side_window']}")
    if protocol["absent_classes"] == "zero":
        notes.append("absent 0")
    return notes


def _names() -> str:
    return "".join(f"{metric:>7}" for metric in metrics_files.FIGURES)


def _numbers(values: Any, vanilla: metrics_files.Group | None) -> str:
    generalised_values = [values[group][metric] for group in metrics_files.GROUPS for metric in metrics_files.FIGURES]
    text = "".join(_number(value, 7) for value in generalised_values) + _number(values["hIoU"], 8)
    low, high = values["hIoU_low"], values["hIoU_high"]
    # Metrics of earlier versions have the interval [0, 0] where no image shows an unseen class.
    missing = None in (values["hIoU"], low, high)
    text += f"{'' if missing else f'[{low:.1f}, {high:.1f}]':>{_INTERVAL_WIDTH}}"
    return text + _number(None if vanilla is None else vanilla["mIoU"], 10)


def _number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.1f}"
