"""The run that is in the workspace: its split, the metrics that belong to this split, and readers of its tables."""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Sequence

from zeroshot.base import errors, text_files
from zeroshot.datasets import splits
from zeroshot.evaluation import metrics_files

# Models from the simplest to the upper bound; others come last.
_ORDER = ("seen_only", "devise", "ale", "spnet", "zs3net", "zs5net", "feature_oracle")
# The model whose figures come first: the best method that reads no unseen label.
_PREFERRED = ("zs5net", "zs3net")


@dataclasses.dataclass(frozen=True)
class Workspace:
    """The run to describe.

    Attributes:
        root: the repository.
        split: the present split.
        checksum: of the split, as in metrics files.
        metrics: metrics of the split by model, from the simplest model to the upper bound.
        others: models whose metrics belong to another split. Nothing of them is shown.
    """

    root: pathlib.Path
    split: splits.Split
    checksum: str
    metrics: dict[str, metrics_files.Metrics]
    others: tuple[str, ...]

    def file(self, name: str) -> pathlib.Path | None:
        """Return a file or folder of the workspace, by its POSIX path; None if it does not exist."""
        path = self.root / name
        return path if path.exists() else None

    def models(self, pattern: str) -> dict[str, pathlib.Path]:
        """Return the existing file of each model, in the order of models, for a path with `{}` in the place of the model's name."""
        folder, _, name = pattern.rpartition("/")
        start, _, end = name.partition("{}")
        paths = sorted((self.root / folder).glob(f"{start}*{end}"))
        found = {path.name.removeprefix(start).removesuffix(end): path for path in paths}
        return {model: found[model] for model in ordered(list(found)) if model not in self.others}


def read(root: pathlib.Path) -> Workspace:
    """Read the split and the metrics of the run at `root`.

    Raises:
        errors.UserError: if there is no split, or a metrics file is not one of this version of the code.
    """
    split = splits.read(root / "data/split.json")
    checksum = metrics_files.split_entry(split, "")["checksum"]
    contents = {path.stem: metrics_files.read(path) for path in metrics_files.paths(root / "metrics")}
    same = [model for model, content in contents.items() if content["split"]["checksum"] == checksum]
    metrics = {model: contents[model] for model in ordered(same)}
    return Workspace(root, split, checksum, metrics, tuple(model for model in contents if model not in metrics))


def ordered(models: Sequence[str]) -> list[str]:
    """Return names of models from the simplest to the upper bound; unknown names come last."""
    return sorted(models, key=lambda model: (_ORDER.index(model) if model in _ORDER else len(_ORDER), model))


def preferred(models: Sequence[str]) -> str:
    """Return the model to show first: ZS5Net, else ZS3Net, else the last."""
    return next((model for model in _PREFERRED if model in models), models[-1])


def table(path: pathlib.Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV file that a stage wrote, as text.

    Args:
        path: the file.
        columns: columns that it must have.

    Raises:
        errors.UserError: if it cannot be read, or lacks a column.
    """
    reader = csv.DictReader(io.StringIO(text_files.read(path), newline=""))
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise errors.UserError(f"{path}: has no column {', '.join(missing)}; write it again with `dvc repro`")
    return list(reader)


def number(path: pathlib.Path, row: dict[str, str], column: str) -> float | None:
    """Return a cell of a row of `table` as a number, None for an empty cell.

    Raises:
        errors.UserError: if it is anything else.
    """
    text = row[column]
    try:
        return float(text) if text else None
    except (TypeError, ValueError):
        raise errors.UserError(
            f"{path}: column {column} contains {text!r}, which is no number; write it again with `dvc repro`"
        ) from None
