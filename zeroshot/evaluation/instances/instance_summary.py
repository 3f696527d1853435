"""The main metrics of every scoring in one table, for DVC to compare between runs."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic
import typing_extensions

from zeroshot.base import errors, text_files

# Name in the summary -> where the metrics files of `instance_metrics.summarise` have it.
FIGURES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    **{
        protocol: {
            "harmonic": (protocol, "harmonic", "mAP50"),
            "seen": (protocol, "seen", "mAP50"),
            "unseen": (protocol, "unseen", "mAP50"),
        }
        for protocol in ("gzsi", "gzsd")
    },
    "zsi": {
        "mAP50": ("zsi", "unseen", "mAP50"),
        "recall50": ("zsi", "unseen", "recall50"),
        "top1": ("top1", "zsi", "unseen", "top1"),
        "mask_iou": ("top1", "zsi", "unseen", "mask_iou"),
    },
    "zsd": {"mAP50": ("zsd", "unseen", "mAP50"), "recall50": ("zsd", "unseen", "recall50")},
}


class _Split(typing_extensions.TypedDict):
    checksum: str


class _Metrics(typing_extensions.TypedDict):
    __pydantic_config__ = pydantic.ConfigDict(extra="allow")  # type: ignore[misc]
    split: _Split


_METRICS = pydantic.TypeAdapter(_Metrics)


def read(paths: Iterable[pathlib.Path]) -> dict[str, Mapping[str, Any]]:
    """Return the content of metrics files of instances by the name of the file without its suffix.

    Raises:
        errors.UserError: if a file is no such file, or the files belong to different classes or images.
    """
    contents: dict[str, Mapping[str, Any]] = {}
    checksums: dict[str, list[str]] = {}
    for path in paths:
        try:
            content: Mapping[str, Any] = _METRICS.validate_json(text_files.read(path))
            for places in FIGURES.values():
                for place in places.values():
                    _at(content, place)
        except text_files.TextError as error:
            cause = error.cause
        except pydantic.ValidationError as error:
            cause = "; ".join(errors.describe(error))
        except KeyError as error:
            cause = f"{error.args[0]}: missing"
        else:
            contents[path.stem] = content
            checksums.setdefault(content["split"]["checksum"], []).append(str(path))
            continue
        raise errors.UserError(
            f"{path}: is no file of metrics of instances ({cause}); write it again with `dvc repro zsi/dvc.yaml`"
        )
    if len(checksums) > 1:
        groups = "; ".join(", ".join(group) for group in checksums.values())
        raise errors.UserError(
            f"the metrics belong to different classes or images, so they are not comparable: {groups};"
            " write them again with `dvc repro zsi/dvc.yaml`"
        )
    return contents


def summary(contents: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return protocol -> metric -> name of the metrics file -> value in per cent.

    They are rounded to 2 decimals, so that DVC shows no difference in the last bits.
    """
    return {
        protocol: {
            metric: {name: _rounded(figure(content, protocol, metric)) for name, content in contents.items()}
            for metric in places
        }
        for protocol, places in FIGURES.items()
    }


def figure(content: Mapping[str, Any], protocol: str, metric: str) -> float | None:
    """Return a metric of `FIGURES` in per cent, as it is in the content of a metrics file; None where nothing could be scored."""
    return _at(content, FIGURES[protocol][metric])


def chart(figures: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> list[dict[str, Any]]:
    """Return the mAP of GZSI in what `summary` returns as rows {model, metric, value}, one for each bar of a grouped chart."""
    metrics = {"seen mAP": "seen", "unseen mAP": "unseen", "harmonic mean": "harmonic"}
    return [
        {"model": model, "metric": metric, "value": figures["gzsi"][key][model]}
        for model in figures["gzsi"]["harmonic"]
        for metric, key in metrics.items()
    ]


def _at(content: Any, place: tuple[str, ...]) -> float | None:
    """Return the value at nested keys; a KeyError names all of them."""
    value = content
    for key in place:
        if not isinstance(value, dict) or key not in value:
            raise KeyError(".".join(place))
        value = value[key]
    return value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
