"""The metrics files of the models: reading them, the split that each belongs to, and their summary for DVC."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic
import typing_extensions

from zeroshot.base import errors, text_files
from zeroshot.datasets import splits
from zeroshot.networks import pretraining

GROUPS = ("seen", "unseen", "all")
FIGURES = ("PA", "MA", "mIoU")
# A file in the folder of the metrics that is not of one model.
SUMMARY = "summary.json"


_STRICT = pydantic.ConfigDict(strict=True, allow_inf_nan=False)


class Group(typing_extensions.TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    PA: float | None
    MA: float | None
    mIoU: float | None


class _Protocol(typing_extensions.TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    seen: Group
    unseen: Group
    all: Group
    hIoU: float | None
    hIoU_low: float | None
    hIoU_high: float | None


class _Evaluation(typing_extensions.TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    short_side: int | None
    absent_classes: str
    image_short_side: int | None


class _SplitEntry(typing_extensions.TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    dataset: str
    unseen: int
    checksum: str


class Metrics(typing_extensions.TypedDict):
    """The entries of a metrics file that tables show; others are kept as they are."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    generalised: _Protocol
    without_bias: _Protocol
    vanilla: Group | None
    seen_bias: float
    exclude: str
    pretraining: pretraining.Pretraining
    evaluation: _Evaluation
    split: _SplitEntry
    graph_context: typing_extensions.NotRequired[str]
    no_pseudo_labels: typing_extensions.NotRequired[bool]
    side_window: typing_extensions.NotRequired[int]
    candidates: typing_extensions.NotRequired[str]
    mask_accuracy: typing_extensions.NotRequired[dict[str, Any]]


_METRICS = pydantic.TypeAdapter(Metrics)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Metrics of one split.

    Attributes:
        values: path -> content of each file of the split.
        note: one line that names the files of other splits; None if there are none.
    """

    values: dict[pathlib.Path, Metrics]
    note: str | None


def split_entry(split: splits.Split, dataset: str) -> dict[str, Any]:
    """Return the entry `split` of a metrics file: the dataset's name, the number of unseen classes, and a checksum.

    The checksum is that of the classes, their roles and the evaluation images. Metrics are comparable only if it is the same.
    """
    content = [split.classes, split.seen, split.unseen, [item.id for item in split.val]]
    checksum = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    return {"dataset": dataset, "unseen": len(split.unseen), "checksum": checksum}


def paths(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """Return the metrics files of all models in `folder`, sorted by name."""
    return sorted(path for path in pathlib.Path(folder).glob("*.json") if path.name != SUMMARY)


def read(path: pathlib.Path) -> Metrics:
    """Return the content of a metrics file.

    Raises:
        errors.UserError: if it is no JSON, or if entries are missing or of other types, as in files of older versions of this code.
    """
    try:
        return _METRICS.validate_json(text_files.read(path))
    except text_files.TextError as error:
        cause = error.cause
    except pydantic.ValidationError as error:
        cause = "; ".join(errors.describe(error))
    raise errors.UserError(f"{path}: is no file of metrics ({cause}); write it again with `dvc repro`")


def of_one_split(files: Iterable[pathlib.Path], split_path: pathlib.Path | None) -> Selection:
    """Read metrics files and return those of the split in `split_path`.

    Args:
        files: metrics files.
        split_path: the split. None: the files must belong to one split.

    Raises:
        errors.UserError: if a file is no metrics file of this version, if no file belongs to the split, or, without a split, if the files
            belong to several.
    """
    values = {path: read(path) for path in files}
    checksums = {path: content["split"]["checksum"] for path, content in values.items()}
    if split_path is None:
        if len(set(checksums.values())) > 1:
            raise errors.UserError(
                f"the metrics belong to different splits, so they are not comparable: {_described(values)};"
                " make data/split.json with `dvc repro prepare_split`, or move those of another split away"
            )
        return Selection(values, None)
    current = split_entry(splits.read(split_path), "")["checksum"]
    selected = {path: content for path, content in values.items() if checksums[path] == current}
    others = {path: content for path, content in values.items() if path not in selected}
    if others and not selected:
        raise errors.UserError(
            f"no metrics belong to the split of {split_path}, but to others: {_described(others)};"
            " compute them with `dvc repro`"
        )
    return Selection(selected, f"not of the split of {split_path}: {_described(others)}" if others else None)


def summary(values: Mapping[pathlib.Path, Metrics]) -> dict[str, dict[str, float | None]]:
    """Return hIoU and the mIoU of seen and of unseen classes of every model, in per cent.

    They are rounded to 2 decimals, so that DVC shows no difference in the last bits.

    Args:
        values: path -> content of the metrics file of each model.
    """
    blocks = {path.stem: content["generalised"] for path, content in values.items()}
    return {
        "hIoU": {model: _rounded(block["hIoU"]) for model, block in blocks.items()},
        "seen": {model: _rounded(block["seen"]["mIoU"]) for model, block in blocks.items()},
        "unseen": {model: _rounded(block["unseen"]["mIoU"]) for model, block in blocks.items()},
    }


def chart(figures: Mapping[str, Mapping[str, float | None]]) -> list[dict[str, Any]]:
    """Return what `summary` returns as rows with `model`, `metric` and `value`, one for each bar of a grouped chart."""
    columns = {"seen mIoU": "seen", "unseen mIoU": "unseen", "hIoU": "hIoU"}
    return [
        {"model": model, "metric": metric, "value": figures[group][model]}
        for model in figures["hIoU"]
        for metric, group in columns.items()
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _described(values: Mapping[pathlib.Path, Metrics]) -> str:
    """Return the files with their datasets and numbers of unseen classes, in one line."""
    return ", ".join(
        f"{path} ({content['split']['dataset']}, {content['split']['unseen']} unseen)"
        for path, content in values.items()
    )
