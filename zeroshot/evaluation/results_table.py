"""The results table on the terminal, in the layout of Tables 1 and 2 of the paper."""

import pathlib
from typing import Any

import pydantic
import typing_extensions

from zeroshot.base import errors, text_files

GROUPS = ("seen", "unseen", "all")
FIGURES = ("PA", "MA", "mIoU")
_INTERVAL_WIDTH = len(" [100.0, 100.0]")
_STRICT = pydantic.ConfigDict(strict=True, allow_inf_nan=False)


class _Group(typing_extensions.TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    PA: float | None
    MA: float | None
    mIoU: float | None


class _Protocol(typing_extensions.TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    seen: _Group
    unseen: _Group
    all: _Group
    hIoU: float | None
    hIoU_low: float | None
    hIoU_high: float | None


class _Evaluation(typing_extensions.TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    short_side: int | None
    absent_classes: str
    image_short_side: int | None


class _Metrics(typing_extensions.TypedDict):
    """The entries of a metrics file that the table shows; others are ignored."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    generalised: _Protocol
    without_bias: _Protocol
    vanilla: _Group | None
    seen_bias: float
    exclude: str
    evaluation: _Evaluation
    graph_context: typing_extensions.NotRequired[str]
    no_pseudo_labels: typing_extensions.NotRequired[bool]


_METRICS = pydantic.TypeAdapter(_Metrics)


def table(folder: str | pathlib.Path) -> str:
    """Return one line for each model with metrics in `folder`. A model with a seen bias has a second line without the bias.

    The interval is that of hIoU over resampled evaluation images (`bootstrap`). The last column is the mIoU of the
    vanilla protocol, which predicts no seen class and so does not depend on the bias.

    Raises:
        errors.UserError: if the folder has no metrics, or a file of it lacks metrics or has others, as of an older version of this code.
    """
    lines = []
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        values = _read(path)
        notes = _notes(values)
        name = f"{path.stem} ({', '.join(notes)})" if notes else path.stem
        if values["seen_bias"]:
            lines.append((f"{name}, no bias", _numbers(values["without_bias"], values["vanilla"])))
            name = f"{name}, bias {values['seen_bias']:g}"
        lines.append((name, _numbers(values["generalised"], values["vanilla"])))
    if not lines:
        raise errors.UserError(f"{folder}: no metrics; compute them with `dvc repro`")
    group_width = 7 * len(FIGURES)
    headers = [
        (
            "",
            "".join(f"{group.capitalize():^{group_width}}" for group in GROUPS)
            + f"{'':{8 + _INTERVAL_WIDTH}}{'Vanilla':>10}",
        ),
        ("per cent", _names() * len(GROUPS) + f"{'hIoU':>8}{'95 %':>{_INTERVAL_WIDTH - 4}}{'mIoU':>14}"),
    ]
    width = max(24, *(len(name) + 1 for name, _ in lines))
    return "\n".join(f"{name:{width}}{text}" for name, text in headers + lines)


def _read(path: pathlib.Path) -> _Metrics:
    try:
        return _METRICS.validate_json(text_files.read(path))
    except text_files.TextError as error:
        cause = error.cause
    except pydantic.ValidationError as error:
        cause = "; ".join(errors.describe(error))
    raise errors.UserError(f"{path}: is no file of metrics ({cause}); write it again with `dvc repro`")


def _notes(values: _Metrics) -> list[str]:
    """Return a note for each setting of the protocol that is not the default, and for a model that lacks what its name says."""
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
    if protocol["absent_classes"] == "zero":
        notes.append("absent 0")
    return notes


def _names() -> str:
    return "".join(f"{metric:>7}" for metric in FIGURES)


def _numbers(values: Any, vanilla: _Group | None) -> str:
    generalised_values = [values[group][metric] for group in GROUPS for metric in FIGURES]
    text = "".join(_number(value, 7) for value in generalised_values) + _number(values["hIoU"], 8)
    low, high = values["hIoU_low"], values["hIoU_high"]
    # Metrics of earlier versions have the interval [0, 0] where no image shows an unseen class.
    missing = None in (values["hIoU"], low, high)
    text += f"{'' if missing else f'[{low:.1f}, {high:.1f}]':>{_INTERVAL_WIDTH}}"
    return text + _number(None if vanilla is None else vanilla["mIoU"], 10)


def _number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.1f}"
